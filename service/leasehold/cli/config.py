"""``leasehold config``."""

from rich.table import Table

from leasehold import settings as settings_module
from leasehold.cli.console import load_settings, out
from leasehold.settings import PREFIX, Settings


def config() -> None:
    """Show the effective settings, secrets hidden, and where each comes from."""
    settings = load_settings()
    table = Table("setting", "value", "from", "meaning")
    for name, value in settings_module.shown(settings).items():
        field = name.removeprefix(PREFIX).lower()
        source = "environment" if field in settings.model_fields_set else "default"
        table.add_row(name, value, source, Settings.model_fields[field].description)
    out.print(table)
