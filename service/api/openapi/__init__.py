"""The document of the API, assembled from tables and models, never by hand.

    tables/    what is said of each route          shapes/    what answers look like
    codes      what errors mean                    headers    what headers mean
    assembly   all of it as OpenAPI 3.1            documents  as JSON, YAML and a page

To document a new route, add an `Operation` to a module of `tables`; a test names the
routes that are missing.
"""
