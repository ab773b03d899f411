// verydeep with im2col and matrix products alone: the arithmetic that the peers do too.

import { prepareOurs } from "./ours-net.js";
import { serve } from "./serve.js";

serve(prepareOurs("im2col"));
