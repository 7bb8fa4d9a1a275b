"""FHIR R4: Bundles and bulk exports of Observations and DiagnosticReports, as rows.

The mapping is documented for laboratories in docs/laboratory-files.md.
"""
