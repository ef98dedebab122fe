"""What happens to a form: every write of `crf`, one keyword-only function each."""

from crf.services.copying import confirm_copied, copied_from, copy_last, day_of, last_of, undo_copy
from crf.services.entries import (
    Incomplete,
    Saved,
    add_entry,
    complete,
    entry_facts,
    preview_entry,
    save_entry,
    unconfirmed,
    void_entry,
)
from crf.services.locking import Blocker, blocker_counts, blockers, is_locked, lock, unlock
from crf.services.looks import finish_look, save_look, settle_look
from crf.services.queries import answer_query, ask_query, close_query, remark, reopen_query
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
    "confirm_copied",
    "copied_from",
    "copy_last",
    "day_of",
    "entry_facts",
    "finish_look",
    "is_locked",
    "last_of",
    "lock",
    "preview_entry",
    "remark",
    "reopen_query",
    "save_entry",
    "save_look",
    "settle_look",
    "sign",
    "signature_digest",
    "signature_state",
    "signatures_of",
    "unconfirmed",
    "undo_copy",
    "unlock",
    "verify",
    "void_entry",
]
