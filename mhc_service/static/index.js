/** The first module of the instrument's page on a server with the service: additions first, then the page itself. */

import './roombanner.js';
import './signin.js';
import 'mhc-scope/app.js';
