"""Addresses of the pages. Names are what `context.NAVIGATION` and templates use."""

from django.conf import settings
from django.urls import path

from postmeter.web import addresses
from postmeter.web.style import style
from postmeter.web.theme import choose_theme
from postmeter.web.views import messages, overview, send

addresses.register()

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("customers/choose/", overview.choose_customer, name="choose-customer"),
    path("send/", send.compose, name="send"),
    path("send/preview/", send.preview, name="send-preview"),
    path("send/list/", send.upload, name="send-list"),
    path("send/list/<UP:upload_id>/", send.columns, name="columns"),
    path("send/quotes/<QU:quote_id>/", send.quote, name="quote"),
    path("send/quotes/<QU:quote_id>/send/", send.send, name="quote-send"),
    path("send/quotes/<QU:quote_id>/again/", send.quote_again, name="quote-again"),
    path("send/quotes/<QU:quote_id>/not-sent.csv", send.excluded_csv, name="quote-excluded"),
    path("batches/<BA:batch_id>/", send.batch, name="batch"),
    path("batches/<BA:batch_id>/progress/", send.batch_progress, name="batch-progress"),
    path("batches/<BA:batch_id>/stop/", send.stop, name="batch-stop"),
    path("messages/", messages.messages, name="messages"),
    path("messages/messages.csv", messages.messages_csv, name="messages-csv"),
    path("messages/<SM:message_id>/", messages.trail, name="trail"),
    path("messages/<SM:message_id>/cancel/", messages.cancel_message, name="message-cancel"),
    path("theme/", choose_theme, name="theme"),
]
if settings.DEBUG:
    urlpatterns += [path("style/", style, name="style")]
