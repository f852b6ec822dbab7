"""The first row of a file: whether it holds names of columns, and what of it may be shown."""

import re
from collections.abc import Collection, Sequence

# Words a header is allowed to show in an error: anything else in a first line may be personal data.
_HEADER_WORDS = frozenset(
    [
        "amount", "and", "at", "basket", "branch", "by", "card", "cash", "cost", "count", "currency",
        "customer", "date", "datetime", "day", "description", "discount", "drink", "each", "flavor",
        "flavour", "full", "gbp", "gross", "hour", "id", "item", "items", "line", "location",
        "method", "name", "net", "no", "number", "or", "order", "ordered", "orders", "paid",
        "payment", "pounds", "price", "product", "products", "purchases", "qty", "quantity", "receipt", "row", "sale",
        "sales", "shop", "site", "size", "sku", "sold", "store", "sum", "tax", "tender",
        "till", "time", "timestamp", "total", "transaction", "type", "unit", "units", "value",
        "vat", "when",
    ]
)  # fmt: skip


# A row of an order has these too.
_PAYMENTS = frozenset(["card", "cash"])
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W_]+")
_BETWEEN_WORDS = re.compile(r"[\s_/()£-]+")


def looks_like_header(cells: Sequence[str], nulls: Collection[str] = ()) -> bool:
    """Whether a first row holds names of columns: mostly known ones, or words without a digit.

    `nulls` are texts, folded, that mean nothing is there: no column is called that.
    """
    folded = [cell.strip().casefold() for cell in cells]
    known = sum(_is_header_word(cell) and cell not in _PAYMENTS for cell in folded)
    is_wordy = all(cell and cell not in nulls and not _DIGIT.search(cell) for cell in folded)
    return 2 * known >= len(cells) or (known > 0 and is_wordy)


def shown_header(cells: Sequence[str]) -> str:
    """A first row as an error may show it: only words that headers use, never data."""
    if sum(map(_is_header_word, cells)) < 2 or not looks_like_header(cells):
        return f"{len(cells)} columns and no header that is known"
    return f"the header {', '.join(c.strip() if _is_header_word(c) else '…' for c in cells)}"


def folded_header(cell: str) -> str:
    """A column's name as it is compared: its words, whatever their case and what parts them."""
    return " ".join(_WORD.findall(cell.casefold())) or cell.strip()


def _is_header_word(cell: str) -> bool:
    if _DIGIT.search(cell):
        return False
    words = {word for word in _BETWEEN_WORDS.split(cell.strip().casefold()) if word}
    return bool(words) and words <= _HEADER_WORDS
