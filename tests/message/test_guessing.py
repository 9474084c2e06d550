"""The charset of text without a label: what mail in many languages looks like in the charsets that it is written in."""

from __future__ import annotations

import pytest

from posthouse.limits import CHARSET_SAMPLE
from posthouse.message.charsets import decode_unlabelled
from posthouse.message.guessing import guess

TEXTS = [
    ("cp1252", "Formação de Verão: informações sobre a promoção"),
    ("cp1252", "Confirmação de inscrição"),
    ("cp1252", "Hyvää päivää, tässä päätös kokouksesta"),
    ("cp1252", "Réunion créée à Genève, où êtes-vous “État”"),
    ("cp1252", "¿Cómo estás? ¡Última oportunidad! Año nuevo, 2º ciclo"),
    ("cp1252", "Grüße aus München, „Übersicht“ – 30 m² Fläche"),
    ("cp1252", "Årsmöte på onsdag, förändringar i stadgarna"),
    ("cp1252", "Æblerne på øen, og så søndagens åbningstider"),
    ("cp1252", "Góðan dag, það er íþróttahús á Íslandi"),
    ("cp1252", "Jack’s “Café” – it’s great…"),
    ("cp1252", "Sõnumid ja ööülikool, täna õhtul"),
    ("cp1250", "Příští týden je schůze, žádáme o účast"),
    ("cp1250", "Zażółć gęślą jaźń, proszę o odpowiedź"),
    ("cp1250", "Kedves Ügyfelünk! Őszi árengedmény, űrlap"),
    ("cp1250", "Bună ziua, vă mulţumim şi aşteptăm"),
    ("cp1254", "İstanbul şubemizde görüşme, iyi günler değerli müşterimiz"),
    ("cp1251", "Добрый день, направляем вам счет на оплату"),
    ("cp1251", "СРОЧНО: РАСПРОДАЖА ТЕХНИКИ"),
    ("koi8-r", "Добрый день, направляем вам счет на оплату"),
    ("koi8-r", "счет на оплату за прошлый месяц"),
    ("cp1253", "Καλημέρα σας, σας στέλνουμε το τιμολόγιο"),
    ("cp1255", "שלום, מצורפת החשבונית"),
    ("cp1256", "السلام عليكم ورحمة الله مرفق الفاتورة"),
    ("cp874", "เรียนท่านสมาชิก ขอเชิญประชุมใหญ่สามัญประจำปี"),
    ("cp874", "สวัสดีครับ ขอส่งเอกสารประกอบการประชุม"),
    ("gb18030", "关于明天会议的通知，请准时参加"),
    ("gb18030", "全新原装进口，送货上门，货到付款－台湾鑫龙商贸集团公司向您拜年!"),
    ("big5", "關於明天會議的通知"),
    ("cp932", "明日の会議についてのお知らせ"),
    ("euc_jp", "明日の会議についてのお知らせ"),
    ("cp949", "내일 회의에 대한 안내입니다"),
]


@pytest.mark.parametrize(("codec", "text"), TEXTS, ids=[f"{codec} {text[:12]}" for codec, text in TEXTS])
def test_texts_are_read_as_they_were_written(codec: str, text: str) -> None:
    assert decode_unlabelled(text.encode(codec)) == text
    assert decode_unlabelled(f"Fwd: {text} (2026)".encode(codec)) == f"Fwd: {text} (2026)"


def test_a_sample_that_ends_in_a_pair_is_read_too() -> None:
    for length in (CHARSET_SAMPLE, CHARSET_SAMPLE - 1):
        sample = (b"x" * (CHARSET_SAMPLE - length) + "关于明天会议的通知".encode("gb18030") * 200)[
            :CHARSET_SAMPLE
        ]
        assert guess(sample) == "gb18030"
