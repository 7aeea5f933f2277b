echo no manifest
