{no: "manifest"}
