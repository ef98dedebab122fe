"""What happens to a form: every write of `crf`, one keyword-only function each."""

from crf.services.entries import (
    Incomplete,
    Saved,
    add_entry,
    complete,
    entry_facts,
    preview_entry,
    save_entry,
    void_entry,
)
from crf.services.locking import Blocker, blocker_counts, blockers, is_locked, lock, unlock
from crf.services.queries import answer_query, ask_query, close_query, reopen_query
from crf.services.review import (
    sign,
    signature_digest,
    signature_state,
    signatures_of,
    verify,
)

__all__ = [
    "Blocker",
    "Incomplete",
    "Saved",
    "add_entry",
    "answer_query",
    "ask_query",
    "blocker_counts",
    "blockers",
    "close_query",
    "complete",
    "entry_facts",
    "is_locked",
    "lock",
    "preview_entry",
    "reopen_query",
    "save_entry",
    "sign",
    "signature_digest",
    "signature_state",
    "signatures_of",
    "unlock",
    "verify",
    "void_entry",
]
