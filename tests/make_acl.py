"""Writes what follows from the scripts: rules of deploy/redis/users.acl, a table: ``make acl``."""

import re

from tests.servers import ACCESS_LIST

from leasehold.store import rights

DEPLOYMENT = ACCESS_LIST.parents[2] / "docs" / "deployment.md"
PERSONAL = "booking"
"""The family of keys that hold personal data, which the person on call may not read."""
OF_THE_RELEASE_BEFORE = ["+hgetall", "+hkeys"]
"""What processes of 0.1.0 ask, which run beside newer ones while a release is rolled out."""


def made(text: str) -> str:
    """Return an access list with the rules of the service, and the keys of the person on call."""
    wanted = rights.of_keys()
    service = rights.rules(wanted) + [f"+{name}" for name in rights.OF_THE_LINK]
    keys = [rule for rule in service if rule.startswith("~")]
    may_be_read = [key for key in keys if key not in rights.patterns(PERSONAL)]
    commands = [rule for rule in service if rule.startswith("+")] + OF_THE_RELEASE_BEFORE
    text = re.sub(
        r"^(user leasehold on #\S+ resetkeys ).*$",
        lambda line: f"{line[1]}{' '.join(keys)} resetchannels -@all {' '.join(commands)}",
        text,
        flags=re.MULTILINE,
    )
    return re.sub(
        r"^(user oncall on #\S+ resetkeys ).*?( resetchannels .*)$",
        lambda line: f"{line[1]}{' '.join(may_be_read)}{line[2]}",
        text,
        flags=re.MULTILINE,
    )


def tabled(text: str) -> str:
    """Return docs/deployment.md with the commands of each family of keys."""
    wanted = rights.of_keys()
    lines = ["| keys | commands |", "| --- | --- |"]
    for family in sorted({right.family for right in wanted} - {""}):
        keys = " ".join(f"`{pattern}`" for pattern in rights.patterns(family))
        commands = [right.command for right in wanted if right.family == family]
        lines.append(f"| {keys} | {' '.join(commands)} |")
    begin, end = "<!-- rights: begin -->\n", "<!-- rights: end -->"
    before, _, rest = text.partition(begin)
    return before + begin + "\n".join([*lines, ""]) + end + rest.partition(end)[2]


if __name__ == "__main__":
    ACCESS_LIST.write_text(made(ACCESS_LIST.read_text()))
    DEPLOYMENT.write_text(tabled(DEPLOYMENT.read_text()))
