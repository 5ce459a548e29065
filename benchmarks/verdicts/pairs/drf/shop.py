"""A shop on Django REST framework in one file: `shop.py seed`, `shop.py serve PORT`."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.conf import settings

settings.configure(
    DEBUG=False,
    DEBUG_PROPAGATE_EXCEPTIONS=False,
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}},
    STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    LOGGING_CONFIG=None,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
        "PAGE_SIZE": 10,
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.urls import include, path
from rest_framework import filters, routers, serializers, viewsets


class Item(models.Model):
    """What is sold: one name a shelf."""

    name = models.CharField(max_length=40)
    shelf = models.IntegerField(default=1)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    weight = models.FloatField(default=1.0)
    sold = models.BooleanField(default=False)

    class Meta:
        """One name a shelf."""

        app_label = "shop"
        constraints = [models.UniqueConstraint(fields=["name", "shelf"], name="one_name_a_shelf")]


class ItemSerializer(serializers.ModelSerializer):
    """An item as JSON."""

    class Meta:
        """All fields."""

        model = Item
        fields = ["id", "name", "shelf", "price", "weight", "sold"]


class Items(viewsets.ModelViewSet):
    """Items, with search and order."""

    queryset = Item.objects.order_by("id")
    serializer_class = ItemSerializer
    filter_backends = [filters.SearchFilter, filters.OrderingFilter]
    search_fields = ["name"]


router = routers.DefaultRouter()
router.register("items", Items)
urlpatterns = [path("", include(router.urls))]


def seed():
    """Create the table and 40 items."""
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    kinds = ("red apple", "green apple", "red, ripe pear", "plum")
    for number in range(1, 41):
        name = f"{kinds[number % 4]} {number}"
        Item.objects.create(name=name, price=number, sold=number % 3 == 0)


class Server(ThreadingMixIn, WSGIServer):
    """Serves each connection by a thread."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *_):
        """Log nothing."""

    def address_string(self):
        """Return the address."""
        return str(self.client_address[0])


if sys.argv[1] == "seed":
    seed()
else:
    server = Server(("127.0.0.1", int(sys.argv[2])), Quiet)
    server.set_app(get_wsgi_application())
    server.serve_forever()
