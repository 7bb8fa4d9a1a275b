"""The contracts' methods: limits, translate, call, translate."""
