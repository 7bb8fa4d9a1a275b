"""The sample people: one for each thing worth showing, in the systems of 2022 and everywhere."""

from dataclasses import replace

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
        "昨天在长沙做的核酸，今天到北京：健康宝查得到，可以进。在“检测结果”里把它上传到北京，“核酸天数”才会显示。",
        "Tested in Changsha yesterday, in Beijing today: Beijing finds the result and lets her in. Days since test "
        "appear once she claims it under Results.",
        SampleTest("430000", "result", 26, 20, NEGATIVE),
    ),
    _person(
        "beijing",
        "周望舒",
        "Zhou Wangshu",
        "110105",
        "110000",
        "在北京做的混检：采样当天是 0 天，过了午夜变 1 天。",
        "Tested in Beijing in a pool of ten: the day of sampling is day 0, midnight makes it day 1.",
        SampleTest("110000", "result", 22, 15, NEGATIVE, Tube.TUBE_POOL_10),
    ),
    _person(
        "night",
        "沈怀瑾",
        "Shen Huaijin",
        "110101",
        "110000",
        "2022 年 8 月的一份报告没有采样时间，凌晨六点前出的，算作前一天采样。今天早已过期。",
        "A report of August 2022 names no sampling time; issued before six in the morning, it counts for the day "
        "before. Long expired today.",
        SampleTest("110000", "night", None, "2022-08-09T05:59:00+08:00", NEGATIVE),
    ),
    _person(
        "anhui",
        "许子墨",
        "Xu Zimo",
        "340104",
        "310000",
        "住合肥，在上海上班：长三角互认，安徽的结果在上海等同本地。",
        "Lives in Hefei, works in Shanghai: the Yangtze delta recognises an Anhui result as its own.",
        SampleTest("340000", "result", 30, 22, NEGATIVE),
    ),
    _person(
        "sichuan",
        "何若溪",
        "He Ruoxi",
        "510104",
        "310000",
        "从成都来，三小时前刚采样，结果未出：上海凭采样记录放行，北京还要等结果。",
        "Arrived from Chengdu, sampled three hours ago, no result yet: Shanghai admits on the sampling, Beijing "
        "waits for the result.",
        SampleTest("510000", "sampling", 3),
    ),
    _person(
        "report-time",
        "秦云帆",
        "Qin Yunfan",
        "310101",
        "310000",
        "2022 年 8 月初在上海做过一次核酸。那几天上海把起算时间从采样改成出报告。今天早已过期。",
        "Tested in Shanghai in early August 2022, in the days when Shanghai began to count from the report instead "
        "of the sampling. Long expired today.",
        SampleTest("310000", "two-instants", "2022-08-01T20:00:00+08:00", "2022-08-02T12:00:00+08:00", NEGATIVE),
    ),
    _person(
        "certificate",
        "朱景行",
        "Zhu Jingxing",
        "430111",
        "440000",
        "手里是湖南的核酸证明，到广东出示：有效。",
        "Carries a test certificate of Hunan, shown in Guangdong: it counts.",
        SampleTest("440000", "certificate", 30, 22, NEGATIVE, channel=Channel.CHANNEL_CERTIFICATE, origin="430000"),
    ),
    _person(
        "switch",
        "吕知秋",
        "Lü Zhiqiu",
        "210102",
        "210000",
        "成都的结果，人在沈阳：查全国库认可；切到省内库就查不到，再切回来又认可。",
        "A Chengdu result, shown in Shenyang: recognised with the national database, unknown to the provincial one. "
        "Try the switch.",
        SampleTest("510000", "result", 28, 20, NEGATIVE),
    ),
    _person(
        "henan",
        "尤浩然",
        "You Haoran",
        "410102",
        "410000",
        "长沙的结果，人在郑州：河南的系统只认本地，全国互认通知要求它认可，所以放行。",
        "A Changsha result, shown in Zhengzhou: Henan's own rules know local tests only; the national notice makes "
        "it admit her.",
        SampleTest("430000", "result", 30, 22, NEGATIVE),
        SampleTest("430000", "refusal", "2022-08-08T10:00:00+08:00", "2022-08-08T20:00:00+08:00", NEGATIVE),
    ),
    _person(
        "xinjiang",
        "施语冰",
        "Shi Yubing",
        "650102",
        "110000",
        "从乌鲁木齐来：新疆的系统没有联网，结果由国家平台保管，北京照样查得到。",
        "Comes from Urumqi: Xinjiang is not connected, the national platform keeps its results, and Beijing finds "
        "them.",
        SampleTest("650000", "result", 32, 24, NEGATIVE, Tube.TUBE_POOL_20),
    ),
    _person(
        "pending",
        "孙书瑶",
        "Sun Shuyao",
        "110108",
        "110000",
        "两小时前刚采样，结果还没出来：还在等，不算阴性。",
        "Sampled two hours ago, no result yet: waiting, which is not a negative.",
        SampleTest("110000", "sampling", 2),
    ),
    _person(
        "overdue",
        "严清和",
        "Yan Qinghe",
        "430105",
        "430000",
        "三十小时前采的样，结果一直没出。“还缺什么”告诉她该找哪家机构。",
        "Sampled thirty hours ago and still no result. “What is missing” says which laboratory to call.",
        SampleTest("430000", "sampling", 30),
    ),
    _person(
        "positive",
        "吴长庚",
        "Wu Changgeng",
        "110102",
        "110000",
        "前天阳性，昨天一次阴性：一次阴性还不能解除。",
        "Positive the day before yesterday, one negative since: one is not enough.",
        SampleTest("110000", "positive", 54, 47, POSITIVE, contradicted=NEGATIVE),
        SampleTest("110000", "negative", 20, 12, NEGATIVE),
    ),
    _person(
        "cleared",
        "郑佳宁",
        "Zheng Jianing",
        "110106",
        "110000",
        "上周阳性，之后两次单管阴性、相隔一天以上：已经解除。",
        "Positive last week, then two single negatives more than a day apart: cleared.",
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
        "同管十人有一人阳性：不等于他本人阳性，要单独再测一次。",
        "Somebody in his tube of ten is positive: not necessarily he; he owes a test of his own.",
        SampleTest("110000", "pool", 18, 9, POSITIVE, Tube.TUBE_POOL_10),
    ),
    _person(
        "two-tests",
        "陈明轩",
        "Chen Mingxuan",
        "510107",
        "510000",
        "成都“三天两检”：两次混检，相隔一天，都在。",
        "Chengdu asks for two tests in three days: she has both, a day apart.",
        SampleTest("510000", "first", 58, 50, NEGATIVE, Tube.TUBE_POOL_10),
        SampleTest("510000", "second", 28, 20, NEGATIVE, Tube.TUBE_POOL_10),
    ),
    SamplePerson(
        key="passport",
        name=Text("安娜·诺瓦克", "Anna Novak"),
        type=DocumentType.DOCUMENT_TYPE_PASSPORT,
        number="UTO2200002",
        shows=Text(
            "护照换了新的：旧护照上的结果仍跟着她。",
            "Her passport was renewed: the result under the old one follows her.",
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
        "长沙的实验室误报他阳性，随后更正：各地的码都跟着变回来。",
        "A laboratory in Changsha reported him positive by mistake and corrected it: every region follows.",
        SampleTest("430000", "result", 25, 18, POSITIVE, corrected=NEGATIVE),
    ),
    _person(
        "suspended",
        "蒋维舟",
        "Jiang Weizhou",
        "430104",
        "110000",
        "检测他的那家机构被停业：它出的结果全部作废，要重新测。",
        "The laboratory that tested him was suspended: all its results are void, and he needs another test.",
        SampleTest("430000", "result", 25, 18, NEGATIVE, laboratory=SUSPENDED_LABORATORY),
    ),
    _person(
        "edge",
        "韩一诺",
        "Han Yinuo",
        "440103",
        "440000",
        "七十小时前的结果，再过不到两小时就满 72 小时：看剩余时间。",
        "A result of seventy hours ago, recognised for 72: watch the time that is left.",
        SampleTest("440000", "edge", 70, 70, NEGATIVE),
    ),
    replace(
        _person(
            "guardian",
            "罗念慈",
            "Luo Nianci",
            "110109",
            "110000",
            "一家三口：本人刚做过核酸，女儿的结果还没出，母亲在长沙的结果一直没出。点名字切换。",
            "A family: she was tested yesterday, her daughter waits, her mother in Changsha has waited too "
            "long. Tap a name.",
            SampleTest("110000", "result", 21, 14, NEGATIVE),
        ),
        dependants=("pending", "overdue"),
    ),
)
"""Everyone, in the order to look at them."""

LABORATORIES = {
    "110000": Text("北京样例医学检验实验室", "Beijing Sample Laboratory"),
    "310000": Text("上海样例医学检验实验室", "Shanghai Sample Laboratory"),
    "430000": Text("长沙样例医学检验实验室", "Changsha Sample Laboratory"),
    "440000": Text("广州样例医学检验实验室", "Guangzhou Sample Laboratory"),
    "510000": Text("成都样例医学检验实验室", "Chengdu Sample Laboratory"),
}
"""The names of the sample laboratories, by region; each is registered as the region's code with `-sample`."""

CONTACT = "000-0000 0000"
"""A telephone that nobody has."""
