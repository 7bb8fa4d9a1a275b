"""The sample people: one for each thing worth showing, in the systems of 2022 and everywhere."""

from hutong.common.v1.subject_pb2 import Document, DocumentType
from hutong.records.v1.record_pb2 import Channel, TestResult, Tube

from cli.samples.model import SamplePerson, SampleTest, resident_id
from services.common.errors import Text

NEGATIVE = TestResult.TEST_RESULT_NEGATIVE
POSITIVE = TestResult.TEST_RESULT_POSITIVE

SUSPENDED_LABORATORY = "430000-lixin"
"""Suspended in Hunan for every sample since 2022-11-01."""


def _person(
    key: str, zh: str, en: str, area: str, look: str, shows_zh: str, shows_en: str, *tests: SampleTest
) -> SamplePerson:
    # Birth and order only make numbers differ; the key's letters do that the same way every time.
    seed = sum(ord(letter) * place for place, letter in enumerate(key, 1))
    birth = f"{1901 + seed % 9}{1 + seed % 12:02d}{1 + seed % 28:02d}"
    return SamplePerson(
        key=key,
        name=Text(zh, en),
        type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID,
        number=resident_id(area, birth, seed % 1000),
        shows=Text(shows_zh, shows_en),
        look=look,
        tests=tests,
    )


PEOPLE: tuple[SamplePerson, ...] = (
    _person(
        "hunan",
        "林晓岚",
        "Lin Xiaolan",
        "430102",
        "110000",
        "湖南的结果在北京查得到；上传（results:claim）之后，核酸天数才从它算起",
        "a Hunan result is found from Beijing; days since test come from it once it is claimed (results:claim)",
        SampleTest("430000", "result", 26, 20, NEGATIVE),
    ),
    _person(
        "beijing",
        "周望舒",
        "Zhou Wangshu",
        "110105",
        "110000",
        "北京本地结果：核酸天数按日历日计算，采样当天为 0 天，24 时翻转",
        "a Beijing result: days since test are calendar days, day 0 the sampling day, turning at 24:00",
        SampleTest("110000", "result", 22, 15, NEGATIVE, Tube.TUBE_POOL_10),
    ),
    _person(
        "night",
        "沈怀瑾",
        "Shen Huaijin",
        "110101",
        "110000",
        "不知采样时间、凌晨出报告：2022-08-09 05:59 的报告算前一天采样（at=2022-08-09T12:00:00+08:00 时为 1 天）",
        "sampling time unknown, reported before six: the report of 2022-08-09 05:59 counts as sampled the day before "
        "(1 day at=2022-08-09T12:00:00+08:00)",
        SampleTest("110000", "night", None, "2022-08-09T05:59:00+08:00", NEGATIVE),
    ),
    _person(
        "anhui",
        "许子墨",
        "Xu Zimo",
        "340104",
        "310000",
        "长三角互认：安徽的结果在上海视同本地",
        "the Yangtze delta: an Anhui result counts in Shanghai as its own",
        SampleTest("340000", "result", 30, 22, NEGATIVE),
    ),
    _person(
        "sichuan",
        "何若溪",
        "He Ruoxi",
        "510104",
        "310000",
        "四川来客只有采样记录、尚无结果：上海放行；别处为“待出结果”",
        "a visitor from Sichuan with a sampling record and no result yet: passes in Shanghai, PENDING elsewhere",
        SampleTest("510000", "sampling", 3),
    ),
    _person(
        "report-time",
        "秦云帆",
        "Qin Yunfan",
        "310101",
        "310000",
        "上海 2022-08-05 起从报告时间算：同一人，at=2022-08-04T22:00:00+08:00 不认，at=2022-08-05T00:00:00+08:00 认",
        "from 2022-08-05 Shanghai counts from the report: the same person is refused at=2022-08-04T22:00:00+08:00 and "
        "recognised at=2022-08-05T00:00:00+08:00",
        SampleTest("310000", "two-instants", "2022-08-01T20:00:00+08:00", "2022-08-02T12:00:00+08:00", NEGATIVE),
    ),
    _person(
        "certificate",
        "朱景行",
        "Zhu Jingxing",
        "430111",
        "440000",
        "湖南的核酸证明在广东有效",
        "a Hunan certificate counts in Guangdong",
        SampleTest("440000", "certificate", 30, 22, NEGATIVE, channel=Channel.CHANNEL_CERTIFICATE, origin="430000"),
    ),
    _person(
        "switch",
        "吕知秋",
        "Lü Zhiqiu",
        "210102",
        "210000",
        "四川的结果：辽事通查全国库认，切到省库（scope=LOCAL）不认，切回又认",
        "a Sichuan result: recognised with the national database, not with the provincial one (scope=LOCAL)",
        SampleTest("510000", "result", 28, 20, NEGATIVE),
    ),
    _person(
        "henan",
        "尤浩然",
        "You Haoran",
        "410102",
        "410000",
        "河南尚未改造、只认本地：今天依全国通知认可；at=2022-08-09T12:00:00+08:00 时被拒，并计为一次拒认",
        "Henan, not yet updated, knows local results only: recognised today on the ground of the national notice; "
        "at=2022-08-09T12:00:00+08:00 refused, and counted as a refusal",
        SampleTest("430000", "result", 30, 22, NEGATIVE),
        SampleTest("430000", "refusal", "2022-08-08T10:00:00+08:00", "2022-08-08T20:00:00+08:00", NEGATIVE),
    ),
    _person(
        "xinjiang",
        "施语冰",
        "Shi Yubing",
        "650102",
        "110000",
        "新疆不在网上，其记录由国家库保管；各地照样查得到",
        "Xinjiang is not on the mesh, the nation keeps its records; they are found everywhere all the same",
        SampleTest("650000", "result", 32, 24, NEGATIVE, Tube.TUBE_POOL_20),
    ),
    _person(
        "pending",
        "孙书瑶",
        "Sun Shuyao",
        "110108",
        "110000",
        "已采样、未出结果：待出结果，绝不当作阴性",
        "sampled, no result yet: PENDING, never negative",
        SampleTest("110000", "sampling", 2),
    ),
    _person(
        "overdue",
        "严清和",
        "Yan Qinghe",
        "430105",
        "430000",
        "采样已过 30 小时仍无结果：由 hutong laboratory overdue 列出，以便致电检测机构催报",
        "sampled 30 hours ago and no result yet: hutong laboratory overdue lists it, so that someone calls the "
        "laboratory",
        SampleTest("430000", "sampling", 30),
    ),
    _person(
        "positive",
        "吴长庚",
        "Wu Changgeng",
        "110102",
        "110000",
        "先阳后阴：一次较新的阴性不能抵消阳性",
        "a positive and one newer negative: the positive outranks it",
        SampleTest("110000", "positive", 54, 47, POSITIVE),
        SampleTest("110000", "negative", 20, 12, NEGATIVE),
    ),
    _person(
        "cleared",
        "郑佳宁",
        "Zheng Jianing",
        "110106",
        "110000",
        "阳性之后两次单检阴性、相隔至少 24 小时：解除",
        "after the positive, two single negatives at least 24 hours apart: cleared",
        SampleTest("110000", "positive", 150, 144, POSITIVE),
        SampleTest("110000", "first", 60, 52, NEGATIVE),
        SampleTest("110000", "second", 30, 22, NEGATIVE),
    ),
    _person(
        "pool",
        "冯雨桐",
        "Feng Yutong",
        "110107",
        "110000",
        "混检管阳性：不等于本人阳性，须单检复核",
        "a positive pool: not the person's own positive; a single test is owed",
        SampleTest("110000", "pool", 18, 9, POSITIVE, Tube.TUBE_POOL_10),
    ),
    _person(
        "two-tests",
        "陈明轩",
        "Chen Mingxuan",
        "510107",
        "510000",
        "三天两检：72 小时内两次混检，相隔至少 24 小时",
        "two pooled tests in three days, at least 24 hours apart",
        SampleTest("510000", "first", 58, 50, NEGATIVE, Tube.TUBE_POOL_10),
        SampleTest("510000", "second", 28, 20, NEGATIVE, Tube.TUBE_POOL_10),
    ),
    SamplePerson(
        key="passport",
        name=Text("安娜·诺瓦克", "Anna Novak"),
        type=DocumentType.DOCUMENT_TYPE_PASSPORT,
        number="UTO2200002",
        shows=Text(
            "护照换新：旧护照名下的结果随人走，关联可以撤销",
            "a renewed passport: the result under the old one follows the person; the link can be undone",
        ),
        look="110000",
        tests=(SampleTest("110000", "result", 27, 19, NEGATIVE),),
        former=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="UTO1200001"),
    ),
    _person(
        "corrected",
        "张思远",
        "Zhang Siyuan",
        "430103",
        "110000",
        "机构把阴性误报为阳性，后更正：各地随之改变，两个版本都在",
        "a negative reported as positive and then corrected: every region follows, both revisions are kept",
        SampleTest("430000", "result", 25, 18, POSITIVE, corrected=NEGATIVE),
    ),
    _person(
        "suspended",
        "蒋维舟",
        "Jiang Weizhou",
        "430104",
        "110000",
        "检测机构被暂停：其结果一律无效，恢复后重新有效",
        "the laboratory is suspended: its results are void, and count again when the suspension is lifted",
        SampleTest("430000", "result", 25, 18, NEGATIVE, laboratory=SUSPENDED_LABORATORY),
    ),
    _person(
        "edge",
        "韩一诺",
        "Han Yinuo",
        "440103",
        "440000",
        "有效期将满：validUntil 就在两小时内，用 at= 试它前后一秒",
        "at the window's edge: validUntil is within two hours; try at= a second before and after it",
        SampleTest("440000", "edge", 70, 70, NEGATIVE),
    ),
)
"""Everyone, in the order to look at them."""
