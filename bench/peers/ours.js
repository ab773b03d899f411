// verydeep as it comes: the convolution algorithm is chosen by shape.

import { prepareOurs } from "./ours-net.js";
import { serve } from "./serve.js";

serve(prepareOurs("auto"));
