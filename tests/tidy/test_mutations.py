"""The table of planted mistakes fits the code that there is."""

from tests.mutations import planted


def test_every_planted_mistake_can_be_planted_in_exactly_one_place() -> None:
    """A text that has changed would be planted nowhere; its row changes with it."""
    mistakes = planted.load()

    assert {m.name: fault for m in mistakes if (fault := m.fault())} == {}
    assert len({m.name for m in mistakes}) == len(mistakes)
    assert len({(m.file, m.text, m.instead) for m in mistakes}) == len(mistakes)
    assert [m.name for m in mistakes if m.text == m.instead or not m.says] == []
