"""HTTP as a toolbox: errors on the wire, request ids, bodies, who is asking, paging. Knows no feature."""
