/** A link to the sign-in page where the server requests a token. */

import { ROOT } from 'mhc-scope/net/sent.js';
import { additions } from 'mhc-scope/ui/additions.js';
import { html } from 'mhc-scope/ui/html.js';

/** Render the link. @param {{problem: import('mhc-scope/net/api.js').ApiError}} props */
function SignIn({ problem }) {
  return problem.status === 401 ? html` <a href=${toSignIn()}>Sign in</a>` : null;
}

/** Return the address of the sign-in page, which leads back to this view. */
function toSignIn() {
  const here = location.pathname + location.search + location.hash;
  return `${ROOT}/sign-in?next=${encodeURIComponent(here)}`;
}

additions.refusals.push(SignIn);
