"""The pinned keys: the root of every proof of an rpm, deb or archive of the SSM Agent.

What is pinned is the whole fingerprint; each body is checked against it when the ring is made,
and the tests compare both with what gpg prints for the published files. The dates are pinned too,
so that nothing hangs on the SHA-1 self-signatures that Amazon's keys carry.

Sources: https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html
(a person compares the newest two with that page before every release), and AWS's own repositories
aws/amazon-ecs-ami, aws/amazon-ecs-agent and aws/eks-hybrid; for Amazon Linux
bottlerocket-os/bottlerocket-kernel-kit.
"""

from __future__ import annotations

from typing import Final

from nodecheck.records import dataclass


@dataclass(frozen=True, slots=True)
class PinnedPacket:
    """One pinned key. ``body`` is its public-key packet without the packet's own header, base64.

    Dates are ISO 8601 UTC; ``expires`` is None where the key never does, ``distrusted_after`` None
    where all its signatures are believed. ``trust`` and ``owner`` say whose key it is.
    """

    fingerprint: str
    trust: str
    owner: str
    created: str
    expires: str | None
    distrusted_after: str | None
    body: str


_SSM_AGENT: Final = "SSM Agent <ssm-agent-signer@amazon.com>"
_AMAZON_LINUX: Final = "Amazon Linux <amazon-linux@amazon.com>"

PINNED: Final = (
    PinnedPacket(
        fingerprint="8108A07A9EBE248E3F1C63F254F4F56E693ECA21",
        trust="ssm-agent",
        owner=_SSM_AGENT,
        created="2020-10-06T17:20:38Z",
        expires="2022-03-29T17:20:38Z",
        distrusted_after=None,
        body=(
            "BF98p2YBCADgfK6NJS/1UFMEBq+DbHrLGCPR7uabN7KByIWJ6X0gGqxad0y7kP+M2YhWVlteeytpJgEEzKFI"
            "Xkv7vZdRIjCrgIiNISdvDyYOTNQ2n5Ck5XPnJTQgn5HIRccvc+Lwdidl8auiCYteDCDCGM5EPb7vUrbrg+y4"
            "RkXeBNErzo7rbVnWW4QCz8x6EVLb24w/AONHLxywwunagorWiVBP6snrBoz2d2wQYAfpPmPsoLRAURiMnubG"
            "bDOM9hb5bGi2OY92L9fVChVRGJnxMNYPCQWFyUovRis9fKnmP1LopUmlNSmSqUj1AD7WRDMGn2Ruf+HYEZuY"
            "+pDD/C2ejcJtjDJTABEBAAE="
        ),
    ),
    PinnedPacket(
        fingerprint="2BC7C7C267BBD505EAA491E6DD81A61756BAA549",
        trust="ssm-agent",
        owner=_SSM_AGENT,
        created="2022-03-15T22:49:35Z",
        expires="2023-09-05T22:49:35Z",
        distrusted_after=None,
        body=(
            "BGIxF/8BCADv014neDCfkpdj79/XVeQVy0Wz9LSiB/iksc1jTPaCgD/9ojdQ10LfEFEyLoeTEhX5WBu0Ry7o"
            "KW9AK51kscMjTHwdFnzXsT4tAoSXxh7lbgdfhpVmbJ0bVArrzKIQ8JOE2lrn6LgVcGTtbPGURNNNRD1nZEgZ"
            "m6wni+ZoplsXmsj0wD7fI5zhk/e+OyrsolpNWBJB0vf6JXVV2MauZKGlwRR4pZoSw5yPOa0rZDtOTtPbUX5C"
            "lWGLtdQ3848YvgjMzK9GeEqK9n6yQx5potlvxJ6TCZsZTwXXF5LyPuv2y6U22075JjMMX7noNnVnipKMj+l7"
            "x5fis+X+gafF/PbTABEBAAE="
        ),
    ),
    PinnedPacket(
        fingerprint="DE92C7DA3E56E92331D62A36BC1F495C97DD04ED",
        trust="ssm-agent",
        owner=_SSM_AGENT,
        created="2023-08-28T22:41:06Z",
        expires="2025-02-17T22:41:06Z",
        distrusted_after=None,
        body=(
            "BGTtIoIBCAD2M1aoGIE0FXynAHM/jtuvdAVVaX3Q4ZejTqrX+Jq8ElAMhxyOGzHu2CDtCYxtVxXK3unptLVt"
            "2kGgJwNbhYC393jDeZx5dCda4Nk2YXX1UK3P461iaxuuXRzMYvfM4RZn+7bJTu635tA07q9Xm6MGD4TCTvsj"
            "BfViOxbrxOg5ozWbJdSwfSR8MwUrRfmFpAefRlYfCEuZ8FHywa9U6jLeWt2O/kqrZliJOAGjGzXtB7EZkqKb"
            "faCCxikjjvhF1awdEqSK4DQorC/OvQc4I5kP5y2CJbtXvXO73QH2yE75JMDIIx9xrOsIRUoSfK3UrWaOVuAn"
            "EEn5ueKzZNqGG1J1ABEBAAE="
        ),
    ),
    PinnedPacket(
        fingerprint="4855A9E6833216D6A77D8FE451A8E050D0052E5D",
        trust="ssm-agent",
        owner=_SSM_AGENT,
        created="2025-01-22T18:19:26Z",
        expires="2026-07-15T18:19:26Z",
        distrusted_after=None,
        body=(
            "BGeRNq4BEACrlf5h6Pz+k+M+QCJJ2LfK7d2Tn9J8iJ9qBK2Vwvuxco1rpSO+KEI3nTeysPuheximps8WOCAD"
            "X4VlbsKxMZQLjQM4mA26m1Tiw9nAI4kod4bKjiuMBMUTCD1wfnjH3zQi4kDUdbpfAEMiPgNLVLH85Wf+lhK+"
            "Zm+V38DYzLyVj03kX4wKiG6RMoxzOBZa5gNsVq+j+oCUITGz/URxH713Rgo8WeoEegI0+7iCBLKg+PM0b7GV"
            "2nzkwWJz796HdkqSg8BwXsYaLTrHxa2P1IpwPCisAkyO7gZaMd6Uj69dtMFO+V8aQee6b57qGuFKZw7h1Vvc"
            "85PbF1Gy/wNIpary57kUHBFUg1vYep/roJuEbJCq97r5I2liLl4NAyrWb9r/TAVxlXvqM4iZUhxm8GAp0Fyw"
            "MdBr9ZECClKa5HxuVmlm0WglTXoYTOZKeDg6ZoCvyhNxWneCNip74fohXymeFF5L/budhBwy5wuwSniOgTGL"
            "o/4CVgZHWCcN+d0Q3bx/sl2QNqPg5/xzsxEtymXLdVdwLIsLdEQUnIvy8KTs5jol3DwinnEEyhly6wdaw+qD"
            "OhkSOT/VnErrSMkYF8VJfa5GjhCBWKw9JVSkaP2CI/VHOgHMMKROnulq0hRQBR7RmLYt98xu38BHJWMmF8Ga"
            "/HJuIxzD1VmkZOPvDDESUwARAQAB"
        ),
    ),
    PinnedPacket(
        fingerprint="1C5B395CBE5E74E2F1CA21592784DBF388D19D46",
        trust="ssm-agent",
        owner=_SSM_AGENT,
        created="2026-06-04T13:58:07Z",
        expires="2027-11-25T13:58:07Z",
        distrusted_after=None,
        body=(
            "BGohhG8BEACxNOk7TM1ywHjW0qrSyH9npRDUjpWAyCD8L1Yu7nLnxwEBtUOkHgQIo1scTWuwogaBZpAzg22A"
            "25AloOrhX8BGTokh71Xm3LbQT8dDQUDT7WRTl4R5p7786TN79p4DqD3/JyzjiD/keTYyhplBWdyk5BEcqlyV"
            "j9Pf/1O6CrOJgGD1oGYK7lRqMtmXlf86/mKveWvjJTPAF26dkDJZecnrheyEA99XlONm8zAlK6h09JThHBmW"
            "MgDPXDSsVeEyXilPUJFhZJ2HXVG2tS9ioVM309tMX6B3W5woT7w8SA6uV2Pf0jMmoYmMuCmQMU8/7/vOLQSJ"
            "m+6Wui5dZywArqtOqXcSledRf7xhmug3Qa5maqY2TtcnXqTaH3WaBLtJZYqDJcsUH99AXqdQkozsCHHL2Nmx"
            "RiShyLCX4VBKzH8j5kDNGeSLuiICbj1Tufh7LDuIwdOQnX9gvB6j/SF3YVqJl4DAjCs4ODYpwm+36RZjQkbw"
            "ELzXzXnDoNgjR5tXCiNdxJLuzemQy7FcDc90fEbpDX03rN7iceavBmZbZ5Tlu53fgpzdkflD8OwfjnYa9AXh"
            "2zweC1G0ut2QU+cZcoOq5/QPtQELNqvgpAUsQtkCECTerz8SugriZD4Tnd4FJUgoqX+/iwCWesyWjGkotxi7"
            "aJluLtz+znNT9SgeMCoJmQARAQAB"
        ),
    ),
    PinnedPacket(
        fingerprint="99E617FE5DB527C0D8BD5F8E11CF1F95C87F5B1A",
        trust="amazon-linux",
        owner=_AMAZON_LINUX,
        created="2017-06-07T20:37:12Z",
        expires=None,
        distrusted_after=None,
        body=(
            "BFk4Y/gBEACo0PXWKPOeXB2BuxYOItNNX1GAJCSyIT5+tX28VilkpLtWZP0uyXuxeZsIjtWm8ZKA81OxB9/+"
            "JauFnYkDIchcMIh7Dgh9h/RHOjc2tkvvq7Zq37aJSY29vTMPuWbc/tbqGOaNZfzGBqeWy/eqP4IrM3h7Tuaj"
            "jTHjhrumqUrCgnZUE7/KeVowJYNOAAOadqb5vS6QMwbv6Ph3t/fCi7DP/FvgiQ0I/6aU5f4MiPO/W+0+F4du"
            "7NnIwKmYsZsUtUW228CRKRFYzdoSzADj6K9hMmq4fN42uQujQdJ1tftWHafQVwU/jQ70dX1pAdAKQ3sEbShJ"
            "cSmAjCjBJLhLK/0rbMXuErrhrxewXfPEgpzm+Fp+jlo2Ni2GTA3QPo21dOo4XL2SrVzc5Q+abYBRYncuZhZ7"
            "fwynG982BtDEZ066Q1G6eT1fQ9YPlqrfw6Hq16kXfPWQTbkUa8oR36q1TQAF1oHiAkIruV/+O7VHlfECEAph"
            "t2HDeV87LbsN1TyYbtI8o9AQki77/9S6PPuWeN7QbgnmET/NXuPht2p69Kn/3DfJhKrndkujEFmhK0fWtEQk"
            "0SGrJcRJ6aD+ZB2DmtCv9Mki9pImkvjoxBBq1/ZNCFu/6BfMR9X72/JyVWM1lWs77zhwJp5bRw5hYQqXO0x2"
            "ld91PNKRsTi5A6sykvJ7ewARAQAB"
        ),
    ),
    PinnedPacket(
        fingerprint="B21C50FA44A99720EAA72F7FE951904AD832C631",
        trust="amazon-linux",
        owner=_AMAZON_LINUX,
        created="2022-12-08T16:14:49Z",
        expires=None,
        distrusted_after=None,
        body=(
            "BGOSDXkBEADR0NT7Y5EHACoAUEEdT3J742u8zXftpjh3hwBMYCC9d5VtTDJ2MLjBQXljlm9byrd0aLEaa90z"
            "urhvnwuFJQlSdVHXsZEgyJIaONTw64lVUnwQmgV0iTasVSxK0inLODIxLa92kSebaGj6GOyGDMgRtu30dpTg"
            "rFosOILXu9trL1FN6czSudq8fbsol6kx3Q7BknYs0F07af+1f7LVKGMA2o4TuTjs8i4HPChJ7Rvjffzb2NtP"
            "3lfqh4HwzNgc2nRG7ftq1A9MbfpyouiXlTjeri66TpkRp7MvinnBzPznE6LxK/VqpK5IDEje1LRSA2Sz7Yxw"
            "5731/7cM2aVtnM99i98m2E93aaq9RqiHa2RrMamt/Qz0sMSMBXuztGJ8cpmUbMlq4sIfIMnU+bgNqBmEViJl"
            "FpAd34Ypn3DIxdFOAL2Hr1lAc3DO/9OsrxZq346flmjoQw9R/Yigy2r9qwWNFNoMIL09VQm9jAk848c7EB6n"
            "yrFERBzIVtf8i3buOnLNA2Nj3yRB4JmIiGGr9lKppoSwfXd0SUFXQFDgRCU6c8y5M68AMzvfeslMZyUjYYMH"
            "Rk16cifwfDOXCRJf+igPedJLGPKsu2UYIYrVvAIxK1H6Db7m2AiwX08Rhpd6pHzILr3INkogxY1v8IBIt2q1"
            "SDMOp5e4VS1IDcYC4+II6QARAQAB"
        ),
    ),
)
