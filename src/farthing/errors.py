"""Every error a user can meet.

FarthingError                 exit 1, HTTP 500
├── InputError                exit 2, HTTP 400   the request or the flag is wrong
│   └── ContextTooLong                           the prompt does not fit
├── NotFound                  exit 2, HTTP 404   no model, file or request of that name
├── Denied                    exit 2, HTTP 401   no key, or an unknown one
├── FormatError               exit 3, HTTP 500   a file is damaged, or newer than we are
├── DiskFull                  exit 1, HTTP 500   no room for a model; nothing half-written stays
├── Busy                      exit 4, HTTP 503   try again: no room for one more sequence
└── EngineDied                exit 1, HTTP 500   the engine's process ended in mid-request

A message says what was found, what was expected and what to do next. Broken
invariants are not in this tree: they are `assert`s, and they crash.
"""


class FarthingError(Exception):
    exit_code = 1
    http_status = 500
    code = "internal_error"


class InputError(FarthingError):
    exit_code = 2
    http_status = 400
    code = "invalid_request_error"


class ContextTooLong(InputError):
    code = "context_length_exceeded"

    def __init__(self, prompt_tokens: int, limit: int) -> None:
        super().__init__(
            f"the prompt has {prompt_tokens} tokens and at most {limit} fit;"
            f" shorten it by {prompt_tokens - limit}"
        )


class NotFound(FarthingError):
    exit_code = 2
    http_status = 404
    code = "not_found"


class Denied(FarthingError):
    exit_code = 2
    http_status = 401
    code = "invalid_api_key"


class FormatError(FarthingError):
    exit_code = 3
    code = "bad_file"


class DiskFull(FarthingError):
    code = "disk_full"


class Busy(FarthingError):
    exit_code = 4
    http_status = 503
    code = "busy"


class EngineDied(FarthingError):
    code = "engine_died"
