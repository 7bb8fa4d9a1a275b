"""Arguments of commands that a setting gives where the command line does not."""

import argparse
import os
from collections.abc import Callable

from services.runtime.settings.environment import SettingsError, value_or_file


def or_setting(variable: str, *, required: bool = False) -> Callable[[str], str | None]:
    """Returns the `type` of an argument whose `default` is "": what is given, else the value of the variable, or what
    stands in the file that `…_FILE` names. Without any it is None, or refused where it is `required`."""

    def given(text: str) -> str | None:
        if text:
            return text
        try:
            _, value = value_or_file(variable, os.environ)
        except SettingsError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if required and not value:
            raise argparse.ArgumentTypeError(f"须给出，或设置 / give it, or set {variable} or {variable}_FILE")
        return value or None

    return given
