"""The words that sample ideas are made of: what it is, for whom, and what is special about it."""

from __future__ import annotations

from typing import NamedTuple


class Shelf(NamedTuple):
    """A category and what its ideas are about, in English and Korean."""

    slug: str
    name: str
    name_ko: str
    things: tuple[str, ...]
    things_ko: tuple[str, ...]


SHELVES = (
    Shelf(
        "productivity",
        "Productivity",
        "생산성",
        (
            "meeting note keeper",
            "weekly planner",
            "shared to-do board",
            "inbox sorter",
            "focus timer",
            "handover checklist",
            "decision log",
            "habit tracker",
        ),
        (
            "회의록 정리 도구",
            "주간 계획표",
            "공유 할 일 보드",
            "받은편지함 분류기",
            "집중 타이머",
            "인수인계 체크리스트",
            "의사결정 기록장",
            "습관 기록 앱",
        ),
    ),
    Shelf(
        "education",
        "Education",
        "교육",
        (
            "vocabulary coach",
            "maths problem tutor",
            "reading club organiser",
            "pronunciation trainer",
            "exam countdown planner",
            "science experiment kit",
            "mock interview partner",
            "coding worksheet maker",
        ),
        (
            "단어 암기 코치",
            "수학 문제 풀이 과외",
            "독서 모임 운영 도구",
            "발음 교정 앱",
            "시험 디데이 계획표",
            "과학 실험 키트",
            "모의 면접 파트너",
            "코딩 학습지 생성기",
        ),
    ),
    Shelf(
        "health",
        "Health",
        "건강",
        (
            "sleep diary",
            "medicine reminder",
            "stretching guide",
            "meal photo journal",
            "running route finder",
            "mood check-in",
            "posture alarm",
            "allergy map",
        ),
        (
            "수면 일기",
            "복약 알림 앱",
            "스트레칭 가이드",
            "식단 사진 일지",
            "러닝 코스 추천 서비스",
            "감정 기록장",
            "자세 교정 알람",
            "알레르기 지도",
        ),
    ),
    Shelf(
        "finance",
        "Finance",
        "금융",
        (
            "household budget book",
            "subscription tracker",
            "bill splitter",
            "tax receipt folder",
            "savings challenge",
            "rent comparison map",
            "invoice writer",
            "pension calculator",
        ),
        (
            "가계부",
            "구독료 관리 앱",
            "더치페이 정산기",
            "연말정산 영수증 보관함",
            "저축 챌린지",
            "전월세 비교 지도",
            "견적서 작성기",
            "연금 계산기",
        ),
    ),
    Shelf(
        "food",
        "Food",
        "음식",
        (
            "fridge inventory",
            "lunch menu picker",
            "leftover recipe book",
            "neighbourhood bakery map",
            "kimchi sharing circle",
            "camping meal kit",
            "wine pairing helper",
            "lunchbox subscription",
        ),
        (
            "냉장고 재고 알림 앱",
            "점심 메뉴 추천기",
            "남은 재료 요리책",
            "동네 빵집 지도",
            "김치 나눔 모임",
            "캠핑 밀키트",
            "와인 페어링 도우미",
            "도시락 구독 서비스",
        ),
    ),
    Shelf(
        "travel",
        "Travel",
        "여행",
        (
            "rainy-day itinerary",
            "luggage checklist",
            "local guide exchange",
            "night train finder",
            "travel expense diary",
            "accessible route map",
            "weekend trip raffle",
            "phrase book",
        ),
        (
            "비 오는 날 여행 코스",
            "짐 싸기 체크리스트",
            "현지인 가이드 교환 서비스",
            "야간열차 검색기",
            "여행 경비 일기",
            "무장애 여행 지도",
            "주말 여행 추첨 서비스",
            "여행 회화 수첩",
        ),
    ),
    Shelf(
        "home",
        "Home & Living",
        "생활",
        (
            "plant watering calendar",
            "tool lending shelf",
            "move-in inspection list",
            "pet sitter network",
            "recycling guide",
            "noise complaint mediator",
            "furniture swap market",
            "energy saving meter",
        ),
        (
            "화분 물주기 달력",
            "공구 대여 선반",
            "입주 점검 목록",
            "반려동물 돌봄 네트워크",
            "분리배출 안내 앱",
            "층간소음 중재 서비스",
            "가구 교환 장터",
            "전기 절약 계량기",
        ),
    ),
    Shelf(
        "creative",
        "Creative",
        "창작",
        (
            "songwriting notebook",
            "webtoon storyboard maker",
            "short film crew finder",
            "photo walk planner",
            "poem of the day",
            "podcast editor",
            "pattern library",
            "museum companion",
        ),
        (
            "작사 노트",
            "웹툰 콘티 제작기",
            "단편영화 스태프 매칭 서비스",
            "출사 코스 계획표",
            "오늘의 시 배달 서비스",
            "팟캐스트 편집기",
            "무늬 도안 도서관",
            "미술관 관람 도우미",
        ),
    ),
)

AUDIENCES = (
    ("people who live alone", "혼자 사는 직장인"),
    ("new parents", "초보 부모"),
    ("night-shift nurses", "야간 근무 간호사"),
    ("small shop owners", "동네 가게 사장님"),
    ("first-year students", "대학 새내기"),
    ("grandparents", "할머니와 할아버지"),
    ("freelancers", "프리랜서"),
    ("remote teams", "재택근무 팀"),
    ("dog owners", "반려견 보호자"),
    ("commuters", "지하철 통근자"),
    ("job seekers", "취업 준비생"),
    ("volunteers", "자원봉사자"),
    ("weekend hikers", "주말 등산객"),
    ("language learners", "외국어 학습자"),
    ("café owners", "카페 창업자"),
    ("apartment neighbours", "아파트 이웃"),
)

TWISTS = (
    ("works offline", "인터넷 없이 쓰는"),
    ("takes five minutes a day", "하루 5분이면 되는"),
    ("needs no account", "가입 없이 쓰는"),
    ("starts from a single photo", "사진 한 장으로 시작하는"),
    ("reads everything aloud", "글을 소리 내어 읽어 주는"),
    ("learns from what you skip", "건너뛴 것에서 배우는"),
    ("can be shared with the family", "가족과 함께 쓰는"),
    ("never sends a notification at night", "밤에는 알림을 보내지 않는"),
    ("fits on one page", "한 장에 다 담기는"),
    ("is moderated by neighbours", "이웃이 함께 운영하는"),
    ("turns progress into a small garden", "성과가 작은 정원으로 자라는"),
    ("explains each suggestion", "추천 이유를 알려 주는"),
)

EARNINGS = (
    (
        "Free to use; a yearly plan pays for storage.",
        "무료로 쓰고, 저장 공간은 연간 요금제로 운영한다.",
    ),
    ("Paid once, no subscription.", "구독 없이 한 번만 결제한다."),
    ("Local shops sponsor it.", "동네 가게의 후원으로 운영한다."),
    ("Teams pay per seat, individuals nothing.", "개인은 무료, 팀은 인원수대로 낸다."),
    ("A small fee on each completed match.", "성사된 거래마다 작은 수수료를 받는다."),
    ("Schools and libraries license it.", "학교와 도서관에 이용권을 판매한다."),
)
