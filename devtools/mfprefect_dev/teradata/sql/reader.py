"""The base of the grammar: a position in the tokens, and the words expected there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mfprefect_dev.teradata.catalog import Name
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.tokens import NUMBER, QUOTED, RESERVED, SIGN, STRING, WORD, Token

if TYPE_CHECKING:
    from mfprefect_dev.teradata.catalog import Catalog

__all__ = ["END", "Reader"]

END = Token("end", "")
NAME_LENGTH = 128


class Reader:
    """Reads tokens from left to right; raises error 3706 for unknown ones."""

    def __init__(self, tokens: Sequence[Token], catalog: Catalog) -> None:
        self.tokens = tokens
        self.catalog = catalog
        self.at = 0

    def peek(self, ahead: int = 0) -> Token:
        """Return a coming token without taking it."""
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else END

    def take(self) -> Token:
        """Return the next token and advance."""
        token = self.peek()
        self.at += 1
        return token

    def comes(self, *words: str) -> bool:
        """Return whether these words and signs come next."""
        return all(
            (token := self.peek(place)).kind in (WORD, SIGN) and token.text == word
            for place, word in enumerate(words)
        )

    def accept(self, *words: str) -> bool:
        """Take these words if they come next."""
        if self.comes(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """Take these words; refuse anything else."""
        if not self.accept(*words):
            raise self.unexpected(f"expected {' '.join(words)}")

    def unexpected(self, why: str = "") -> Refused:
        """Return the error for the next token."""
        near = " ".join(token.written for token in self.tokens[self.at : self.at + 6]) or "the end"
        return Refused(3706, f"{why + ', ' if why else ''}found {near!r}")

    def end(self) -> None:
        """Refuse any remaining token."""
        self.accept(";")
        if self.peek() is not END:
            raise self.unexpected("expected the end of the request")

    def identifier(self, what: str = "a name") -> str:
        """Take a name: quoted, or a word that Teradata does not reserve."""
        token = self.take()
        if token.kind == QUOTED and token.text:
            name = token.text
        elif token.kind == WORD and token.text not in RESERVED:
            name = token.written
        else:
            self.at -= 1
            reserved = f"{token.text} is a reserved word; " if token.kind == WORD else ""
            raise self.unexpected(f"{reserved}expected {what}")
        if len(name) > NAME_LENGTH:
            raise Refused(3737, f"the name {name[:30]!r}.. is longer than {NAME_LENGTH}")
        return name

    def table_name(self) -> Name:
        """Take `table` or `database.table`."""
        first = self.identifier("a table's name")
        if self.accept("."):
            return Name(first, self.identifier("a table's name"))
        return Name(None, first)

    def columns(self) -> list[str]:
        """Take `(a, b, ..)`."""
        self.expect("(")
        names = [self.identifier("a column's name")]
        while self.accept(","):
            names.append(self.identifier("a column's name"))
        self.expect(")")
        return names

    def whole(self) -> int:
        """Take a whole number."""
        token = self.take()
        if token.kind != NUMBER or not token.text.isdigit():
            self.at -= 1
            raise self.unexpected("expected a whole number")
        return int(token.text)

    def string(self) -> str:
        """Take a string literal."""
        token = self.take()
        if token.kind != STRING:
            self.at -= 1
            raise self.unexpected("expected a text")
        return token.text
