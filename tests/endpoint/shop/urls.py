from cronbell.endpoint.django import cron_urls

urlpatterns = cron_urls()
