"""A bank that writes its statements: the same day in camt.053, camt.054, MT940 and CSV."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from xml.sax.saxutils import escape

DAY = date(2026, 11, 20)
IBAN = "DE89370400440532013000"


@dataclass(frozen=True)
class Arrived:
    """One entry of the bank's books. `lines`: the remittance as the bank wraps it."""

    amount: str
    lines: tuple[str, ...]
    ref: str = ""
    debit: bool = False
    reversal: bool = False
    payer: str = "Quay & Sons"
    structured: str = ""
    day: date = DAY
    more: str = ""  # further elements of the camt payment


@dataclass
class Bank:
    """An account of the operator at a bank."""

    account: str = IBAN
    currency: str = "USD"
    opening: Decimal = field(default=Decimal("1000.00"))

    def _closing(self, entries: list[Arrived]) -> Decimal:
        return self.opening + sum((-1 if each.debit else 1) * Decimal(each.amount) for each in entries)

    def camt053(self, *entries: Arrived, version: str = "08") -> bytes:
        balances = "".join(
            f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='{self.currency}'>{amount}</Amt>"
            f"<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{DAY}</Dt></Dt></Bal>"
            for code, amount in (("OPBD", self.opening), ("CLBD", self._closing(list(entries))))
        )
        return self._camt("053", version, "BkToCstmrStmt", "Stmt", balances, entries)

    def camt054(self, *entries: Arrived, version: str = "08") -> bytes:
        return self._camt("054", version, "BkToCstmrDbtCdtNtfctn", "Ntfctn", "", entries)

    def _camt(self, kind: str, version: str, message: str, item: str, balances: str, entries: tuple[Arrived, ...]) -> bytes:
        return (
            f"<?xml version='1.0' encoding='UTF-8'?><Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.{kind}.001.{version}'>"
            f"<{message}><GrpHdr><MsgId>M1</MsgId></GrpHdr><{item}><Id>S1</Id><Acct><Id><IBAN>{self.account}</IBAN></Id></Acct>"
            f"{balances}{''.join(self._ntry(each) for each in entries)}</{item}></{message}></Document>"
        ).encode()

    def _ntry(self, each: Arrived) -> str:
        texts = "".join(f"<Ustrd>{escape(line)}</Ustrd>" for line in each.lines)
        if each.structured:
            texts += f"<Strd><CdtrRefInf><Ref>{each.structured}</Ref></CdtrRefInf></Strd>"
        return (
            f"<Ntry><Amt Ccy='{self.currency}'>{each.amount}</Amt><CdtDbtInd>{'DBIT' if each.debit else 'CRDT'}</CdtDbtInd>"
            f"{'<RvslInd>true</RvslInd>' if each.reversal else ''}<Sts><Cd>BOOK</Cd></Sts>"
            f"<BookgDt><Dt>{each.day}</Dt></BookgDt><ValDt><Dt>{each.day}</Dt></ValDt>"
            f"{f'<AcctSvcrRef>{each.ref}</AcctSvcrRef>' if each.ref else ''}"
            f"<NtryDtls><TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>"
            f"<RltdPties><Dbtr><Pty><Nm>{escape(each.payer)}</Nm></Pty></Dbtr></RltdPties>"
            f"<RmtInf>{texts}</RmtInf>{each.more}</TxDtls></NtryDtls></Ntry>"
        )

    def mt940(self, *entries: Arrived) -> bytes:
        text = f":20:STARTUMSE\r\n:25:{self.account}\r\n:28C:00001/001\r\n:60F:{self._balance(self.opening)}\r\n"
        for each in entries:
            mark = ("R" if each.reversal else "") + ("D" if each.debit != each.reversal else "C")
            ref = f"//{each.ref}" if each.ref else ""
            text += f":61:{each.day:%y%m%d}{each.day:%m%d}{mark}{each.amount.replace('.', ',')}NTRFNONREF{ref}\r\n"
            fields = "".join(f"?{20 + place}{line}" for place, line in enumerate(each.lines))
            details = f"166?00GUTSCHRIFT{fields}?32{each.payer[:27]}"
            text += ":86:" + "\r\n".join(details[at : at + 65] for at in range(0, len(details), 65)) + "\r\n"
        return (text + f":62F:{self._balance(self._closing(list(entries)))}\r\n-\r\n").encode("latin-1")

    def _balance(self, amount: Decimal) -> str:
        return f"C{DAY:%y%m%d}{self.currency}{amount}".replace(".", ",")

    def csv(self, *entries: Arrived) -> bytes:
        text = "Date;Amount;Currency;Name;Description;Bank reference\r\n"
        for each in entries:
            sign, words = "-" if each.debit else "", " ".join(each.lines)
            text += f'{each.day};{sign}{each.amount};{self.currency};"{each.payer}";"{words}";{each.ref}\r\n'
        return text.encode()
