"""Errors in OpenAI's shape, and the few that only HTTP knows."""

from typing import Any

import msgspec

from farthing.errors import Busy, ContextTooLong, Denied, FarthingError, InputError

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
RETRY_SECONDS = 2


class PromptTooLong(ContextTooLong):
    def __init__(self, prompt_tokens: int, limit: int, param: str) -> None:
        super().__init__(prompt_tokens, limit)
        self.param = param


class DoesNotFit(InputError):
    """Prompt and answer together are longer than the context."""

    code = "context_length_exceeded"
    param = "max_tokens"


class TooLarge(InputError):
    http_status = 413
    code = "body_too_large"


class WrongMedia(InputError):
    http_status = 415
    code = "unsupported_media_type"


class Slow(InputError):
    http_status = 408
    code = "request_timeout"


class Forbidden(Denied):
    """A browser page of another origin, or a name that is not ours."""

    http_status = 403
    code = "forbidden"


class KeyBusy(Busy):
    """This key has as many requests running as it may."""

    http_status = 429
    code = "rate_limit_exceeded"


class Stopping(Busy):
    code = "server_stopping"


def error_object(error: FarthingError) -> dict[str, Any]:
    status = error.http_status
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    param = getattr(error, "param", None)
    return {"message": str(error), "type": kind, "param": param, "code": error.code}


def error_bytes(error: FarthingError) -> bytes:
    return msgspec.json.encode({"error": error_object(error)})


def error_headers(error: FarthingError) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if isinstance(error, Busy):
        headers["retry-after"] = str(RETRY_SECONDS)
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers
