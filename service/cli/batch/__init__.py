"""`darkroom batch`: a file of prompts becomes a batch, and a batch a folder of images.

The batch lives at the front door, whatever becomes of whoever follows it.
"""

import typer

from service.cli.batch import results, standing, submit

app = typer.Typer(help="Make images of whole files of prompts.", no_args_is_help=True)
app.command()(submit.submit)
app.command("list")(standing.list_batches)
app.command()(standing.status)
app.command()(standing.watch)
app.command()(results.results)
app.command()(standing.cancel)
app.command()(standing.retry_failed)
