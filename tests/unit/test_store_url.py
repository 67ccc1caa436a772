import pytest

from leasehold.model.address import Address
from leasehold.model.store_url import StoreUrl, parse


def said(url: str) -> list[str]:
    """Return what is said of a URL that will not do."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse(url)
    return str(caught.value).split("; it ")


def at(*hosts: tuple[str, int], **changes: object) -> StoreUrl:
    """Return what a plain URL says, but for some changes."""
    plain = {
        "shape": "server",
        "hosts": tuple(Address(*host) for host in hosts),
        "is_tls": False,
        "username": None,
        "password": None,
        "database": 0,
        "socket": "",
        "service": "",
    }
    return StoreUrl(**{**plain, **changes})  # type: ignore[arg-type] # the values fit


SENTINEL = {"shape": "sentinel", "service": "main"}
CLUSTER = {"shape": "cluster"}
ADA = {"username": "ada", "password": "p"}


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("redis://h", at(("h", 6379))),
        ("redis://h:1/", at(("h", 1))),
        ("redis://h:1/7", at(("h", 1), database=7)),
        ("redis://h:1?db=7", at(("h", 1), database=7)),
        ("redis://[::1]:1/0", at(("::1", 1))),
        ("rediss://h:1", at(("h", 1), is_tls=True)),
        ("redis://:se%2Fcret@h", at(("h", 6379), password="se/cret")),
        ("redis://a%40b:c:d@e@h", at(("h", 6379), username="a@b", password="c:d@e")),
        ("redis://ada@h", at(("h", 6379), username="ada")),
        ("unix:///run/redis.sock", at(socket="/run/redis.sock")),
        ("unix:///run/r?db=3", at(socket="/run/r", database=3)),
        ("unix://u:p@/run/r", at(socket="/run/r", username="u", password="p")),
        ("redis+sentinel://s/main", at(("s", 26379), **SENTINEL)),
        ("redis+sentinel://s,t:2/main", at(("s", 26379), ("t", 2), **SENTINEL)),
        ("redis+sentinel://[::1]:1,[::2]/main", at(("::1", 1), ("::2", 26379), **SENTINEL)),
        ("redis+sentinel://ada:p@s/main/4", at(("s", 26379), **SENTINEL, **ADA, database=4)),
        ("rediss+sentinel://s/main/", at(("s", 26379), **SENTINEL, is_tls=True)),
        ("redis+cluster://a,b:2", at(("a", 6379), ("b", 2), **CLUSTER)),
        ("rediss+cluster://ada:p@a/0", at(("a", 6379), **CLUSTER, **ADA, is_tls=True)),
    ],
)
def test_url_says_what_it_means(url: str, means: StoreUrl) -> None:
    """Every shape of a store has a URL, with several hosts where the shape has several."""
    assert parse(url) == means


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h", "is not a Redis URL"),
        ("h:6379", "is not a Redis URL"),
        ("redis+sentinels://h/main", "is not a Redis URL"),
        ("redis://h/0#f", "is not a Redis URL"),
        ("redis://", "names no host"),
        ("redis://h:0", "names no host"),
        ("redis://h:70000", "names no host"),
        ("redis://::1", "names no host"),
        ("redis+cluster://a,,b", "names no host"),
        ("redis://a,b", "names several servers"),
        ("redis://h/main", "names no database"),
        ("redis+sentinel://h", "names no service"),
        ("redis+sentinel://h/", "names no service"),
        ("redis+sentinel://h/main/x", "names no database"),
        ("redis+sentinel://h/main?db=1", "carries options"),
        ("redis+cluster://h/1", "names a database"),
        ("redis+cluster://h?db=0", "carries options"),
        ("redis://h?db=x", "carries options"),
        ("unix://h/run/redis.sock", "names no socket"),
        ("unix://", "names no socket"),
    ],
)
def test_url_that_will_not_do_is_told_why(url: str, why: str) -> None:
    """A URL that is not quite one is refused with its one fault."""
    (fault,) = said(url)

    assert fault.startswith(why)


def test_url_with_several_faults_is_told_all_of_them() -> None:
    """Whoever mends a URL mends it once."""
    assert [fault.split(",")[0] for fault in said("redis+sentinel://:cret@h:x?a=cret")] == [
        "names no host",
        "names no service",
        "carries options; timeouts and the like have settings of their own",
    ]
