"""Words of both languages that stand for one another: one for one, so that each way is right."""

from farthing.learn.tasks.words import phrases

PAIRS = {
    "thing": """
apple 苹果 个|pear 梨 个|orange 橙子 个|egg 鸡蛋 个|cup 杯子 个|plate 盘子 个|bottle 瓶子 个|
bag 袋子 个|box 箱子 个|basket 篮子 个|ball 球 个|balloon 气球 个|watermelon 西瓜 个|
cake 蛋糕 个|bowl 碗 个|toy 玩具 个|doll 布娃娃 个|book 书 本|dictionary 词典 本|
magazine 杂志 本|notebook 笔记本 本|novel 小说 本|pencil 铅笔 支|pen 钢笔 支|candle 蜡烛 支|
stamp 邮票 张|photo 照片 张|map 地图 张|table 桌子 张|bed 床 张|newspaper 报纸 张|ticket 票 张|
card 卡片 张|chicken 鸡 只|duck 鸭子 只|rabbit 兔子 只|sheep 羊 只|cat 猫 只|bird 鸟 只|
monkey 猴子 只|tiger 老虎 只|mouse 老鼠 只|bee 蜜蜂 只|butterfly 蝴蝶 只|fish 鱼 条|dog 狗 条|
snake 蛇 条|scarf 围巾 条|towel 毛巾 条|skirt 裙子 条|boat 小船 条|shirt 衬衫 件|
sweater 毛衣 件|coat 大衣 件|present 礼物 件|chair 椅子 把|umbrella 雨伞 把|key 钥匙 把|
knife 刀 把|spoon 勺子 把|lock 锁 把|flower 花 朵|rose 玫瑰 朵|cloud 云 朵|stone 石头 块|
watch 手表 块|brick 砖 块|eraser 橡皮 块|tree 树 棵|cabbage 白菜 棵|car 汽车 辆|
bicycle 自行车 辆|truck 卡车 辆|bus 公共汽车 辆|star 星星 颗|bead 珠子 颗|horse 马 匹|cow 牛 头|
pig 猪 头|elephant 大象 头|lamp 灯 盏|mirror 镜子 面|computer 电脑 台|piano 钢琴 架|
plane 飞机 架|house 房子 座|bridge 桥 座|mountain 山 座|letter 信 封|hat 帽子 顶|tent 帐篷 顶|
picture 画 幅|song 歌 首|poem 诗 首|teacher 老师 位|doctor 医生 位|guest 客人 位|train 火车 列|
melon 甜瓜 个|potato 土豆 个|tomato 西红柿 个|lemon 柠檬 个|peach 桃子 个|window 窗户 扇|
door 门 扇|drum 鼓 面|flag 旗子 面
""",
    "quality": """
red 红色|blue 蓝色|green 绿色|yellow 黄色|white 白色|black 黑色|purple 紫色|grey 灰色|
brown 棕色|big 大|small 小|new 新|old 旧|beautiful 漂亮|cheap 便宜|expensive 昂贵|heavy 沉重|
light 轻便|strange 奇怪|famous 著名|clean 干净|dirty 肮脏|strong 结实|lovely 可爱|ordinary 普通|
simple 简单|ancient 古老|modern 现代|golden 金色|wooden 木头
""",
    "person": """
Tom 汤姆|Mary 玛丽|John 约翰|Anna 安娜|David 大卫|Lucy 露西|Peter 彼得|Linda 琳达|Jack 杰克|
Emma 艾玛|Mike 迈克|Helen 海伦|Paul 保罗|Alice 爱丽丝|George 乔治|Jane 简|Robert 罗伯特|
Susan 苏珊|Henry 亨利|Kate 凯特|Daniel 丹尼尔|Grace 格蕾丝|Frank 弗兰克|Rose 罗丝|Simon 西蒙|
Nancy 南希|Oscar 奥斯卡|Julia 朱莉娅|Victor 维克多|Diana 戴安娜
""",
    "act": """
bought 买了|sold 卖了|found 找到了|lost 丢了|saw 看见了|drew 画了|brought 带来了|borrowed 借了|
washed 洗了|counted 数了|took 拿走了|hid 藏起了|carried 搬了|received 收到了|chose 选了|
wanted 想要|liked 喜欢|needed 需要|forgot 忘了|sent 送出了
""",
    "spot": """
in the park 在公园|at school 在学校|in the library 在图书馆|at the station 在车站|
at the market 在市场|at home 在家里|in the garden 在花园里|at the museum 在博物馆|
in the shop 在商店|by the river 在河边|on the hill 在山上|in the village 在村子里|
in the kitchen 在厨房|at the hospital 在医院|at the airport 在机场|on the beach 在海滩上|
in the forest 在森林里|in the classroom 在教室|in the office 在办公室|in the hotel 在酒店|
in the cinema 在电影院
""",
    "time": """
yesterday 昨天|today 今天|last week 上个星期|last year 去年|this morning 今天早上|
last night 昨天晚上|last month 上个月|this afternoon 今天下午|on Monday 星期一|on Friday 星期五|
on Sunday 星期天|in spring 春天|in summer 夏天|in autumn 秋天|in winter 冬天
""",
    "word": """
water 水|fire 火|sun 太阳|moon 月亮|wind 风|rain 雨|snow 雪|sky 天空|earth 地球|sea 大海|
river 河|lake 湖|island 岛|forest 森林|desert 沙漠|field 田野|road 路|city 城市|village 村庄|
country 国家|school 学校|hospital 医院|library 图书馆|museum 博物馆|station 车站|airport 机场|
market 市场|bank 银行|hotel 酒店|restaurant 餐馆|kitchen 厨房|garden 花园|father 父亲|
mother 母亲|brother 兄弟|sister 姐妹|friend 朋友|child 孩子|student 学生|farmer 农民|nurse 护士|
lawyer 律师|engineer 工程师|cook 厨师|driver 司机|soldier 士兵|singer 歌手|painter 画家|
writer 作家|king 国王|queen 王后|morning 早晨|noon 中午|evening 傍晚|night 夜晚|day 白天|
week 星期|month 月份|year 年|spring 春天|summer 夏天|autumn 秋天|winter 冬天|head 头|hand 手|
foot 脚|eye 眼睛|ear 耳朵|nose 鼻子|mouth 嘴|heart 心|hair 头发|tooth 牙齿|blood 血|bread 面包|
rice 米饭|noodles 面条|soup 汤|meat 肉|milk 牛奶|tea 茶|coffee 咖啡|juice 果汁|sugar 糖|salt 盐|
oil 油|gold 黄金|silver 银|iron 铁|copper 铜|paper 纸|glass 玻璃|wood 木材|cotton 棉花|
silk 丝绸|leather 皮革|music 音乐|dance 舞蹈|history 历史|mathematics 数学|science 科学|
art 艺术|language 语言|war 战争|peace 和平|love 爱|hope 希望|dream 梦|time 时间|money 钱|
work 工作|life 生命|health 健康|luck 运气|truth 真理|freedom 自由|happy 高兴|sad 难过|
angry 生气|tired 累|hungry 饿|thirsty 渴|hot 热|cold 冷|tall 高|short 短|long 长|fast 快|
slow 慢|good 好|bad 坏|easy 容易|difficult 困难|near 近|far 远|early 早|late 晚|run 跑|walk 走|
swim 游泳|fly 飞|jump 跳|eat 吃|drink 喝|sleep 睡觉|read 读|write 写|speak 说|listen 听|sing 唱|
laugh 笑|cry 哭|buy 买|sell 卖|open 打开|close 关闭|begin 开始|end 结束|win 赢|lose 输|
help 帮助|learn 学习|teach 教|think 想|know 知道|forget 忘记|remember 记住
""",
}


def pairs(kind: str) -> list[tuple[str, ...]]:
    """English and Chinese; of a thing also its measure word."""
    held = []
    for one in phrases(PAIRS[kind]):
        parts = one.split(" ")
        at = next(place for place, part in enumerate(parts) if not part.isascii())
        held.append((" ".join(parts[:at]), *parts[at:]))
    return held


THINGS, QUALITIES, PEOPLE = pairs("thing"), pairs("quality"), pairs("person")
ACTS, SPOTS, TIMES, WORDS = pairs("act"), pairs("spot"), pairs("time"), pairs("word")

# country, capital; in English, then in Chinese
CAPITALS = """
France Paris 法国 巴黎|Germany Berlin 德国 柏林|Italy Rome 意大利 罗马|
Spain Madrid 西班牙 马德里|Portugal Lisbon 葡萄牙 里斯本|England London 英国 伦敦|
Ireland Dublin 爱尔兰 都柏林|Greece Athens 希腊 雅典|Austria Vienna 奥地利 维也纳|
Hungary Budapest 匈牙利 布达佩斯|Poland Warsaw 波兰 华沙|Sweden Stockholm 瑞典 斯德哥尔摩|
Norway Oslo 挪威 奥斯陆|Finland Helsinki 芬兰 赫尔辛基|Denmark Copenhagen 丹麦 哥本哈根|
Russia Moscow 俄罗斯 莫斯科|China Beijing 中国 北京|Japan Tokyo 日本 东京|
Thailand Bangkok 泰国 曼谷|Vietnam Hanoi 越南 河内|Egypt Cairo 埃及 开罗|
Kenya Nairobi 肯尼亚 内罗毕|Morocco Rabat 摩洛哥 拉巴特|Canada Ottawa 加拿大 渥太华|
Cuba Havana 古巴 哈瓦那|Peru Lima 秘鲁 利马|Chile Santiago 智利 圣地亚哥|
Australia Canberra 澳大利亚 堪培拉|Turkey Ankara 土耳其 安卡拉|Iran Tehran 伊朗 德黑兰|
Iraq Baghdad 伊拉克 巴格达|India New-Delhi 印度 新德里|Nepal Kathmandu 尼泊尔 加德满都|
Mongolia Ulaanbaatar 蒙古 乌兰巴托|Ukraine Kyiv 乌克兰 基辅|
Romania Bucharest 罗马尼亚 布加勒斯特|Bulgaria Sofia 保加利亚 索非亚|
Serbia Belgrade 塞尔维亚 贝尔格莱德|Croatia Zagreb 克罗地亚 萨格勒布|
Belgium Brussels 比利时 布鲁塞尔|Iceland Reykjavik 冰岛 雷克雅未克|
Cambodia Phnom-Penh 柬埔寨 金边|Philippines Manila 菲律宾 马尼拉|Jordan Amman 约旦 安曼|
Syria Damascus 叙利亚 大马士革|Lebanon Beirut 黎巴嫩 贝鲁特
"""
COUNTRIES = [one.split(" ") for one in phrases(CAPITALS)]
SEATS = [
    one.split(" ")
    for one in phrases("""
河北 石家庄|山西 太原|辽宁 沈阳|吉林 长春|黑龙江 哈尔滨|江苏 南京|浙江 杭州|安徽 合肥|福建 福州|
江西 南昌|山东 济南|河南 郑州|湖北 武汉|湖南 长沙|广东 广州|海南 海口|四川 成都|贵州 贵阳|
云南 昆明|陕西 西安|甘肃 兰州|青海 西宁
""")
]
OPPOSITES = [
    one.split(" ")
    for one in phrases("""
hot cold|big small|up down|left right|day night|black white|good bad|happy sad|open closed|
early late|rich poor|fast slow|strong weak|wet dry|true false|full empty|long short|north south|
east west|win lose|buy sell|push pull|inside outside|above below|thick thin|asleep awake|
alive dead|ancient modern|begin end|cheap expensive|clean dirty|deep shallow|easy difficult|
first last|loud quiet|sharp blunt|success failure|summer winter|wide narrow|love hate|war peace|
friend enemy|question answer|increase decrease|arrive depart|heaven hell|minimum maximum
""")
]
OPPOSITES_ZH = [
    one.split(" ")
    for one in phrases("""
大 小|多 少|高 低|长 短|快 慢|冷 热|黑 白|上 下|左 右|前 后|里 外|新 旧|好 坏|早 晚|远 近|轻 重|
粗 细|厚 薄|深 浅|宽 窄|胖 瘦|真 假|美 丑|苦 甜|软 硬|干 湿|开 关|进 退|买 卖|胜 负|生 死|天 地|
东 西|南 北|高兴 难过|成功 失败|勇敢 胆小|聪明 愚笨|安全 危险|简单 复杂|容易 困难|诚实 虚伪|
骄傲 谦虚|勤劳 懒惰|热闹 冷清|干净 肮脏|便宜 昂贵|古代 现代|增加 减少|开始 结束|赞成 反对|
进步 退步|光明 黑暗|温暖 寒冷|节约 浪费|朋友 敌人|喜欢 讨厌|集中 分散
""")
]
SIGNS = [
    one.split(" ")
    for one in phrases("""
hydrogen H 氢|oxygen O 氧|carbon C 碳|nitrogen N 氮|iron Fe 铁|gold Au 金|silver Ag 银|
copper Cu 铜|sodium Na 钠|calcium Ca 钙|zinc Zn 锌|helium He 氦|sulfur S 硫|lead Pb 铅|
tin Sn 锡|chlorine Cl 氯|potassium K 钾|aluminium Al 铝|magnesium Mg 镁|mercury Hg 汞|
neon Ne 氖|iodine I 碘|silicon Si 硅|phosphorus P 磷
""")
]
