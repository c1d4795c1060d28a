"""Realistic new users: international names, many domains, Unicode addresses, each email once.

An email is made from a name by rule, and is dropped or numbered when it resembles an earlier one,
so that no two are one address however spellings are compared.
"""

import unicodedata

from faker import Faker

from domains import is_domain, to_ascii

LOCALES = """
    en_US en_GB en_IN de_DE de_AT fr_FR es_ES es_MX it_IT pt_BR pt_PT nl_NL sv_SE da_DK no_NO fi_FI
    pl_PL cs_CZ sk_SK hu_HU ro_RO hr_HR sl_SI bg_BG el_GR ru_RU uk_UA tr_TR ar_AA fa_IR he_IL hi_IN
    bn_BD ta_IN th_TH vi_VN id_ID ja_JP ko_KR zh_CN zh_TW ka_GE hy_AM az_AZ lv_LV lt_LT et_EE is_IS
    ga_IE ne_NP
""".split()

# The internationalized test domains that were once in the root zone, and one that maps to itself.
IDN_DOMAINS = """
    例え.テスト пример.испытание παράδειγμα.δοκιμή उदाहरण.परीक्षा مثال.إختبار 例子.测试 실례.테스트
    உதாரணம்.பரிட்சை straße.example
""".split()

SHARED_DOMAINS = ["mail.example", "post.example.org", "webmail.example.com", "example.net"]
LOCAL_OCTETS_MAX = 64
INACTIVE = 2


class People:
    """An endless source of users, the same for the same random source."""

    def __init__(self, random):
        self.random = random
        self.seen = set()
        self.fakers = {locale: Faker(locale) for locale in LOCALES}
        for faker in self.fakers.values():
            faker.seed_instance(random.getrandbits(64))
        self.domains = {locale: _domains(faker) for locale, faker in self.fakers.items()}

    def person(self):
        """The next user, as the fields of a CreateUserRequest."""
        locale = self.random.choice(LOCALES)
        faker = self.fakers[locale]
        name = " ".join(faker.name().split())
        request = {"email": self._email(locale, name), "name": self._typed(name)}
        if self.random.random() < 0.1:
            request["status"] = INACTIVE
        if self.random.random() < 0.3:
            request["attributes"] = {
                "locale": locale, "company": faker.company(), "job": faker.job(),
                "phone": faker.phone_number(),
            }
        return request

    def _email(self, locale, name):
        local = self._local(locale, name)
        domain = self._domain(locale)
        while (key := _resemblance(local, domain)) in self.seen:
            local = f"{_cut(local, LOCAL_OCTETS_MAX - 6)}{self.random.randrange(10**6)}"
        self.seen.add(key)
        if self.random.random() < 0.25:
            local, domain = local.title(), domain.title() if domain.isascii() else domain
        email = self._typed(f"{local}@{domain}")
        return f" {email} " if self.random.random() < 0.03 else email

    def _local(self, locale, name):
        style = self.random.random()
        if style < 0.4:
            local = _cut(".".join(_words(name)).lower(), LOCAL_OCTETS_MAX).rstrip(".")
            if local:
                return local
        user_name = self.fakers[locale].user_name()
        tag = self.random.choice(["+news", "+shop", "+work"]) if style > 0.95 else ""
        return user_name + tag

    def _domain(self, locale):
        style = self.random.random()
        if style < 0.4:
            return self.random.choice(SHARED_DOMAINS)
        return self.random.choice(IDN_DOMAINS if style < 0.45 else self.domains[locale])

    def _typed(self, text):
        """Text as an input method may leave it: seldom decomposed, and never longer for it."""
        decomposed = unicodedata.normalize("NFD", text)
        if self.random.random() < 0.05 and len(decomposed.encode()) <= LOCAL_OCTETS_MAX:
            return decomposed
        return unicodedata.normalize("NFC", text)


def _domains(faker):
    """Domains of one country: companies in ASCII, and families in the country's own script."""
    domains = [faker.domain_name() for _ in range(200)]
    for _ in range(100):
        label = unicodedata.normalize("NFC", "-".join(_words(faker.last_name())).lower())
        if not label.isascii() and is_domain(f"{label}.example"):
            domains.append(f"{label}.example")
    return [domain for domain in domains if is_domain(domain)]


def _words(name):
    """The words of a name: its letters, marks and digits."""
    kept = (char if unicodedata.category(char)[0] in "LMN" else " " for char in name)
    return "".join(kept).split()


def _cut(text, octets_max):
    return unicodedata.normalize("NFC", text).encode()[:octets_max].decode(errors="ignore")


def _resemblance(local, domain):
    """A key that is equal for emails which anyone could take for one another."""
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", local).casefold())
    bare = "".join(char for char in bare if not unicodedata.combining(char))
    return bare.replace("ı", "i"), to_ascii(domain)
