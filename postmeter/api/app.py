from litestar import Litestar


def create_app():
    return Litestar([])
