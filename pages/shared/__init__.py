"""Screen code that pages share; the files beside this folder are the pages."""
