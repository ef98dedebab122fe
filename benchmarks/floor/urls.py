from django.urls import path

from benchmarks.floor import views

urlpatterns = [
    path("hello/", views.hello, name="hello"),
    path("thirty/<int:pk>/", views.thirty, name="thirty"),
]
