"""Ideas, their categories, purchases and claims: models, pages, API and the jobs on them."""
