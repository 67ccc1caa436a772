"""``leasehold config``."""

from leasehold import settings as settings_module
from leasehold.cli import options
from leasehold.cli.console import load_settings, print_json
from leasehold.cli.sheet import Sheet
from leasehold.settings import PREFIX, Settings


def config(as_json: options.AsRecords = False) -> None:
    """Show the effective settings, secrets hidden, and where each comes from."""
    settings = load_settings()
    sheet = Sheet("setting", "value", "from", "meaning")
    for name, value in settings_module.shown(settings).items():
        field = name.removeprefix(PREFIX).lower()
        source = "environment" if field in settings.model_fields_set else "default"
        sheet.add_row(name, value, source, Settings.model_fields[field].description or "")
    if as_json:
        print_json(sheet.records())
    else:
        sheet.show()
