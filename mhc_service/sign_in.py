"""Let people sign in with an access token in a browser, which stores it in a cookie that scripts cannot read.

The page has no script. The form sends a POST request, which is accepted only from this page itself.
"""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from mhc_scope.api.models.links import to_address
from mhc_scope.pages.routes import get_pages
from mhc_scope.pages.security import FORM_HEADERS, require_own_page
from mhc_scope.services.errors import RefusalError
from mhc_scope.services.identity import ClientIdentity
from mhc_service.cookies import TOKEN_COOKIE, is_safe, read_access_token
from mhc_service.operators import identify_holder

router = APIRouter(prefix="/sign-in", include_in_schema=False)

MAX_NEXT = 20_000  # addresses are long, because they contain a view
Next = Annotated[str, Query(alias="next", max_length=MAX_NEXT)]


@router.get("")
async def get_sign_in_page(request: Request, after: Next = "") -> Response:
    """Return the page with the form to sign in, or with who has signed in."""
    token = read_access_token(request)
    if token is None:
        return _render_form(request, after)
    try:
        holder = await identify_holder(request, token)
    except RefusalError as error:
        return _render_form(request, after, mistake=f"{error} Sign in with another, or sign out.", kept=True)
    return _render_form(request, after, holder=holder, kept=True)


@router.post("", dependencies=[Depends(require_own_page)])
async def sign_in(request: Request) -> Response:
    """Store a valid token in a cookie, and redirect to where the reader came from."""
    fields = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=8)
    after, token = fields.get("next", [""])[0], fields.get("token", [""])[0].strip()
    try:
        await identify_holder(request, token)
    except RefusalError as error:
        page = _render_form(request, after, mistake=str(error))
        page.status_code = 401
        return page
    answer = RedirectResponse(to_own_address(after), status_code=303, headers=FORM_HEADERS)
    secure = is_safe(request.scope, request.app.state.settings.public_url)
    answer.set_cookie(TOKEN_COOKIE, token, path=_read_root(request), httponly=True, samesite="lax", secure=secure)
    return answer


@router.post("/out", dependencies=[Depends(require_own_page)])
async def sign_out(request: Request) -> Response:
    """Delete the token's cookie from this browser; the token itself stays valid."""
    answer = RedirectResponse(to_address("/sign-in"), status_code=303, headers=FORM_HEADERS)
    answer.delete_cookie(TOKEN_COOKIE, path=_read_root(request))
    return answer


def _read_root(request: Request) -> str:
    """Return the root path of the request as the path of the cookie; `/` without one."""
    root: str = request.scope.get("root_path", "")
    return root or "/"


def to_own_address(after: str) -> str:
    """Return an address if it is a path of this server, else `/`, so that no redirect leads to another site."""
    start = to_address("/")
    is_own = after.startswith(start) and not after.startswith(("//", "/\\")) and after.isprintable()
    return after if is_own else start


def _render_form(
    request: Request, after: str, *, holder: ClientIdentity | None = None, mistake: str = "", kept: bool = False
) -> Response:
    """Return the page to sign in, with a form or with `holder`, who has signed in. Browsers do not store it."""
    page = get_pages(request).render(
        "service/sign_in.html", after=to_own_address(after), holder=holder, mistake=mistake, kept=kept
    )
    page.headers.update(FORM_HEADERS)
    return page
