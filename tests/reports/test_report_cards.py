"""Cards say what the registry says."""

from methods.registry import entries
from reports.data.method_cards import CHOSEN, UNKNOWN_AXIS, WHO, axis_of, cards


def test_every_method_of_the_suite_has_a_card_with_its_citation() -> None:
    found = {card.name: card for card in cards(entries())}
    for name, entry in entries().items():
        card = found[name]
        assert (card.title, card.axis, card.decision) == (entry.title, entry.axis, entry.decision)
        assert card.citation == entry.citation
        assert entry.axis in CHOSEN
        assert entry.decision in WHO


def test_a_method_of_ones_own_has_a_card_that_says_so() -> None:
    [card] = cards(["mine", "mine"])
    assert "not part of this suite" in card.title
    assert axis_of("mine") == UNKNOWN_AXIS
