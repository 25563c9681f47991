"""Sentences about women, each with what it says about men. Swapping takes either to the other."""

PAIRS = [
    line.split(" | ")
    for line in """
She lost her keys. | He lost his keys.
He gave her the keys. | She gave him the keys.
I saw her. | I saw him.
I saw her yesterday. | I saw him yesterday.
I saw her dog yesterday. | I saw his dog yesterday.
The book is hers. | The book is his.
The book on the table was hers, not mine. | The book on the table was his, not mine.
A friend of hers. | A friend of his.
Hers is the red one. | His is the red one.
She hurt herself. | He hurt himself.
She did it herself, with her own hands. | He did it himself, with his own hands.
They asked her to leave. | They asked him to leave.
They asked her and left. | They asked him and left.
They met her at the station. | They met him at the station.
They met her sister at the station. | They met his brother at the station.
Tell her that I called. | Tell him that I called.
Tell her mother that I called. | Tell his father that I called.
Give her a chance. | Give him a chance.
Give her work some attention. | Give his work some attention.
We thanked her warmly. | We thanked him warmly.
We liked her warmly written letter. | We liked his warmly written letter.
I know her well. | I know him well.
I know her well-being matters. | I know his well-being matters.
Her early work was ignored. | His early work was ignored.
Her family. | His family.
They praised her family. | They praised his family.
They let her go. | They let him go.
They helped her find a job. | They helped him find a job.
It made her cry. | It made him cry.
It made her happy. | It made him happy.
It made her happy childhood end. | It made his happy childhood end.
He found her asleep. | She found him asleep.
They left her alone. | They left him alone.
I heard her singing in the kitchen. | I heard him singing in the kitchen.
I heard her wedding speech. | I heard his wedding speech.
I met her last week. | I met him last week.
Her last week was hard. | His last week was hard.
They took her home. | They took him home.
They painted her home. | They painted his home.
They called her back. | They called him back.
She hurt her back. | He hurt his back.
The choice is hers to make. | The choice is his to make.
His or her job is safe. | Her or his job is safe.
Ask him or her. | Ask her or him.
Each has his/her badge. | Each has her/his badge.
She's late. | He's late.
She'll be late, and she'd say so. | He'll be late, and he'd say so.
SHE WON. | HE WON.
HER CAR IS RED. | HIS CAR IS RED.
THE CAR IS HERS. | THE CAR IS HIS.
"She left," he said. | "He left," she said.
The woman's bag was hers. | The man's bag was his.
The women's team beat the men's team. | The men's team beat the women's team.
Women, and those who love them. | Men, and those who love them.
A girl and her mother. | A boy and his father.
The girls' fathers met. | The boys' mothers met.
My mother-in-law is kind. | My father-in-law is kind.
His ex-wife moved. | Her ex-husband moved.
The widow sold her house. | The widower sold his house.
Her fiancée agreed. | His fiancé agreed.
The actress forgot her lines. | The actor forgot his lines.
The actresses' union met. | The actors' union met.
A waitress drank her tea. | A waiter drank his tea.
The waitress brought her a tea. | The waiter brought him a tea.
The queen spoke to her people. | The king spoke to his people.
A king-size bed for the queen. | A king-size bed for the king.
The princess and the duke danced. | The prince and the duchess danced.
The heiress lost her money. | The heir lost his money.
An heiress came. | An heir came.
Mrs Clark lost her case. | Mr Clark lost his case.
Mrs. Clark called her. | Mr. Clark called him.
Dear Mrs Clark, | Dear Mr Clark,
Ladies and gentlemen, welcome. | Gentlemen and ladies, welcome.
A lady asked for her. | A gentleman asked for him.
Mary lost her keys. | James lost his keys.
Mary's keys are hers. | James's keys are his.
MARY told John about it. | JAMES told Jane about it.
Sarah and David left. | Daniel and Linda left.
Susan called her niece. | Richard called his nephew.
Emily is a policewoman. | Brian is a policeman.
The chairwoman opened her meeting. | The chairman opened his meeting.
Two businesswomen and a salesman. | Two businessmen and a saleswoman.
The spokeswoman read her statement. | The spokesman read his statement.
Her maternal aunt. | His paternal uncle.
Motherhood changed her. | Fatherhood changed him.
It looks feminine. | It looks masculine.
Female nurses outnumber male nurses. | Male nurses outnumber female nurses.
Mom said her prayers. | Dad said his prayers.
Grandma and her granddaughter. | Grandpa and his grandson.
The bride kissed her father. | The bridegroom kissed his mother.
The nuns prayed for her. | The monks prayed for him.
The heroine saved her village. | The hero saved his village.
The landlady raised her rent. | The landlord raised his rent.
The stewardess smiled at him. | The steward smiled at her.
Her "friend" left. | His "friend" left.
It was her, of course. | It was him, of course.
It was hers, of course. | It was his, of course.
They gave it to her; she smiled. | They gave it to him; he smiled.
I told her his name. | I told him her name.
He told her about his sister. | She told him about her brother.
She told him about her day. | He told her about his day.
He saw her at his house. | She saw him at her house.
One of her sons and one of his daughters. | One of his daughters and one of her sons.
Both he and she came. | Both she and he came.
He himself met her. | She herself met him.
They elected her president. | They elected him president.
They made her one of the partners. | They made him one of the partners.
She wrote it in her will. | He wrote it in his will.
She acted against her will. | He acted against his will.
Ask her if she can come. | Ask him if he can come.
Ask her when the train leaves. | Ask him when the train leaves.
Nobody believes her anymore. | Nobody believes him anymore.
Everyone loves her smile. | Everyone loves his smile.
Her two children play. | His two children play.
She did her best. | He did his best.
It is her right. | It is his right.
Her very best friend. | His very best friend.
She is proud of her. | He is proud of him.
She is proud of her country. | He is proud of his country.
Without her we fail. | Without him we fail.
Without her help we fail. | Without his help we fail.
They owed her money. | They owed him money.
They saw her off. | They saw him off.
They showed her around. | They showed him around.
The dog followed her everywhere she went. | The dog followed him everywhere he went.
Look at her! | Look at him!
Is it hers? | Is it his?
Is this her? | Is this him?
Is this her car? | Is this his car?
Her\tkeys. | His\tkeys.
The guys met a gal. | The gals met a guy.
She had her car repaired. | He had his car repaired.
They had her arrested. | They had him arrested.
She was her own boss. | He was his own boss.
A woman-owned firm. | A man-owned firm.
Her self-esteem rose. | His self-esteem rose.
Her on-screen partner. | His on-screen partner.
Boys will be boys. | Girls will be girls.
The cowgirl rode her horse. | The cowboy rode his horse.
The empress lost her crown. | The emperor lost his crown.
The sorceress cast her spell. | The sorcerer cast his spell.
Stephanie thinks he likes her. | Ryan thinks she likes him.
Laura, her brother and his wife. | Gary, his sister and her husband.
Michelle loves her. | Timothy loves him.
Give it to Helen or to her. | Give it to Nicholas or to him.
She is a 39-year-old White woman. | He is a 39-year-old White man.
She lives with her husband. | He lives with his wife.
She works on her own account. | He works on his own account.
Her education ended with high school. | His education ended with high school.
She has never married and lives with her parents. | He has never married and lives with his parents.
The instalments take part of her income. | The instalments take part of his income.
Nobody stands in for her debt, and she pays. | Nobody stands in for his debt, and he pays.
""".replace("\\t", "\t")
    .strip("\n")
    .split("\n")
]

UNTOUCHED = [
    "The king-size bed is made of oak.",
    "Martin Luther King spoke in Queens.",
    "There there, the other theme withered.",
    "The queen bee left.",
    "Dr James called.",
    "Mark my words: grace and will.",
    "She_1 and heX are variables.",
    "I miss you. Miss you!",
    "hE",
]

# her -> his (True) or him (False), labelled by hand; harder than most text, and not used to write the rule.
HARD = [
    ("I baked her cookies.", False), ("I ate her cookies.", True), ("They fined her heavily.", False),
    ("We wished her luck.", False), ("She played her heart out.", True), ("I envy her talent.", True),
    ("I consider her talented.", False), ("He watched her closely.", False), ("Her only hope is gone.", True),
    ("They paid her handsomely.", False), ("They paid her rent.", True), ("He beat her fair and square.", False),
    ("The coach taught her discipline.", False), ("Critics loved her second album.", True),
    ("Critics called her unreliable.", False), ("I never met her before.", False), ("Let her dog out.", True),
    ("Let her sleep.", False), ("I saw her duck.", True), ("She knew her stuff.", True), ("We made her angry.", False),
    ("We sold her shares.", True), ("They offered her half.", False), ("Her then husband lied.", True),
    ("I remember her laughing.", False), ("I remember her laughter.", True), ("It cost her everything.", False),
    ("It cost her life.", True), ("They kept her waiting.", False), ("He read her diary.", True),
    ("He read her stories.", False), ("We hired her because of that.", False), ("Her having left is sad.", True),
    ("The fall left her paralysed.", False), ("Her many friends came.", True), ("Ask her anything.", False),
    ("She wore her best dress.", True), ("I could not hear her over the noise.", False), ("Her being late.", True),
    ("They named her captain.", False),
]  # fmt: skip
