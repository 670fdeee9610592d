// Says before the account is made that a browser keeps our cookie over https alone, or on its own machine.
"use strict";

document.getElementById("insecure").hidden = isSecureContext;
