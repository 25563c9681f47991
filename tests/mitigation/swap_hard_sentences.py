"""Hard sentences, each with what its swap is: "=" where nothing changes, "?" where it is to be left and counted.

"text ?" stands for a swap that is right though a careful reader might leave the sentence. `TUNED` were looked at while
the rules were written. `ASIDE` are the last 385, written when the rules stood and counted before anyone looked: 367
right, 4 left though they need not be, 14 wrong. What they showed was mended since: they are no test of new text now.
"""

# ruff: noqa: RUF001

from __future__ import annotations


def _pairs(lines: str) -> list[tuple[str, ...]]:
    return [tuple(line.split(" | ")) for line in lines.strip("\n").split("\n")]


TUNED = _pairs("""
They sent her three letters. | They sent him three letters.
That book of hers is missing. | That book of his is missing.
She read a book of her poems. | He read a book of his poems.
The letter to him was lost. | The letter to her was lost.
The Book of Ruth is short. | =
The teacher made her repeat the year. | ?
She made her debut the year before. | He made his debut the year before.
It made her day the moment he called. | It made his day the moment she called.
The bride kissed her groom. | ?
The firm paid her 40 euros an hour. | The firm paid him 40 euros an hour.
My aunt asked her two questions. | My uncle asked him two questions.
His coach taught her the rules. | Her coach taught him the rules.
The bank denied her credit. | The bank denied him credit.
The court denied her request. | The court denied his request.
We consider her intelligent. | We consider him intelligent.
We consider her answer intelligent. | We consider his answer intelligent.
I saw her and her mother at the market. | I saw him and his father at the market.
Nobody invited her and her friends. | Nobody invited him and his friends.
Christian Bale won her vote. | Christian Bale won his vote.
She lit a candle for the Virgin Mary. | He lit a candle for the Virgin Mary.
She sailed the Indian Ocean alone. | He sailed the Indian Ocean alone.
He was born on the Isle of Man. | She was born on the Isle of Man.
It was Ladies' night at the bar. | =
The ladies' room is upstairs. | =
Every applicant must bring s/he own pen. | =
If a student is ill, s/he calls the office. | =
"Yes, ma'am," he said. | "Yes, sir," she said.
No, sir, she did not. | No, ma'am, he did not.
The postman gave her the parcel. | The postwoman gave him the parcel.
The headmistress punished him. | The headmaster punished her.
Er kam aus dem Haus und ging hin und her. | =
Wo kommst du her? | =
Sí, señor, el sir inglés llegó. | =
The headmaster praised his pupils. | The headmistress praised her pupils.
They offered her a job. | They offered him a job.
They offered her job to someone else. | They offered his job to someone else.
The noise woke her. | The noise woke him.
The noise woke her baby. | The noise woke his baby.
The man behind her smiled. | The woman behind him smiled.
Everyone around her laughed. | Everyone around him laughed.
The woman next to her said nothing. | The man next to him said nothing.
The boy beside her asked for water. | The girl beside him asked for water.
Those who love her know the truth. | Those who love him know the truth.
Whoever meets her likes her. | Whoever meets him likes him.
Behind her stood a tall boy. | Behind him stood a tall girl.
Before her lay the valley. | Before him lay the valley.
I told her old friends the news. | I told his old friends the news.
She told her students a story. | He told his students a story.
I gave her dog a bath. | I gave his dog a bath.
I gave her five minutes. | I gave him five minutes.
They promised her more money. | They promised him more money.
They cut her pay. | They cut his pay.
It cost her her job. | It cost him his job.
It cost her thousands. | It cost him thousands.
The jury found her guilty. | The jury found him guilty.
The jury found her story odd. | The jury found his story odd. ?
They left her pregnant and alone. | They left him pregnant and alone.
Success made her arrogant. | Success made him arrogant.
I found her extremely charming. | I found him extremely charming.
They thought her rather plain. | They thought him rather plain.
I never saw her so happy. | I never saw him so happy.
He made her his partner. | She made him her partner.
They called her Anna. | They called him Jonathan.
They called her names at school. | They called him names at school.
They called her mother at once. | They called his father at once.
The board named her head of sales. | The board named him head of sales.
The voters elected her mayor. | The voters elected him mayor.
The guards let her through. | The guards let him through.
Let her hair dry first. | Let his hair dry first.
The film made her scream. | The film made him scream.
I helped her move the piano. | I helped him move the piano.
We heard her laugh in the hall. | ?
We watched her dance. | ?
I saw her duck. | ?
I baked her cookies. | ?
He read her letters aloud. | ?
They caught her stealing. | They caught him stealing.
They filmed her dancing on the roof. | They filmed him dancing on the roof.
I loved her singing. | I loved his singing.
We kept her waiting outside. | We kept him waiting outside.
They had her arrested. | They had him arrested.
They had her car towed. | They had his car towed.
The blast left her paralysed. | The blast left him paralysed.
The will left her penniless. | The will left him penniless.
Nobody contested her will. | Nobody contested his will.
Anyone who knows her will agree. | Anyone who knows him will agree.
I met her twice last year. | I met him twice last year.
I visited her three times. | I visited him three times.
We last saw her two days ago. | We last saw him two days ago.
I will see her Monday. | I will see him Monday.
He watched her every move. | She watched his every move.
He calls her every day. | She calls him every day.
He knows her only too well. | She knows him only too well.
Her only child lives abroad. | His only child lives abroad.
They treated her very badly. | They treated him very badly.
They followed her closely guarded plan. | They followed his closely guarded plan.
He likes her better than me. | She likes him better than me.
Her better half agreed. | His better half agreed.
She said it was hers alone. | He said it was his alone.
A friend of hers called. | A friend of his called.
That dog of his bites. | ?
The house is his now. | The house is hers now.
His is bigger. | Hers is bigger.
All the credit was his and his alone. | All the credit was hers and hers alone.
Each guest took his or her seat. | Each guest took her or his seat.
Each guest took his/her seat. | Each guest took her/his seat.
Tell him/her to wait. | Tell her/him to wait.
He or she must sign. | She or he must sign.
Pronouns: she/her. | Pronouns: he/him.
Pronouns: he/him/his. | Pronouns: she/her/hers.
I saw her and his mother. | ?
They hung his and hers towels. | =
The word "her" has three letters. | ?
He told her "no". | She told him "no".
Her "boss" is a robot. | His "boss" is a robot.
SHE LOST HER KEYS. | HE LOST HIS KEYS.
I SAW HER YESTERDAY. | I SAW HIM YESTERDAY.
It was HER idea, not his. | It was HIS idea, not hers.
She'd left before he'd arrived. | He'd left before she'd arrived.
He's sure she'll win. | She's sure he'll win.
The king’s men and the queen’s men met. | The queen’s women and the king’s women met.
My sister's dog bit her. | My brother's dog bit him.
The actress's agent called her. | The actor's agent called him.
Write to her at she.smith@mail.com today. | Write to him at she.smith@mail.com today.
See https://women.org/her for her talk. | See https://women.org/her for his talk.
Follow @her_story and @king for news. | =
He used #girlboss in his post. | She used #girlboss in her post.
Run `man ls` before you ask him. | Run `man ls` before you ask her.
The method she.run() failed, he said. | The method she.run() failed, she said.
Set king = 3 and call her. | Set king = 3 and call him.
Open /home/her/king.txt for her. | Open /home/her/king.txt for him.
Stephen King signed her book. | Angela King signed his book.
Martin Luther King gave his speech. | Martin Luther King gave her speech.
She ate at Burger King. | He ate at Burger King.
The Lion King made her cry. | The Lion King made him cry.
Elton John played for her. | Elton John played for him.
Ray Charles was his hero. | Ray Charles was her heroine.
Mr. James lost his hat. | Mrs. James lost her hat.
Sir Isaac lost his apple. | Dame Isaac lost her apple. ?
She studied at King's College. | He studied at King's College.
He lives on George Street. | She lives on George Street.
St. Mary's Hospital hired her. | St. Mary's Hospital hired him.
Hurricane Maria destroyed his house. | Hurricane Maria destroyed her house.
He flew to San Jose. | She flew to San Jose.
Johns Hopkins admitted her. | Johns Hopkins admitted him.
He chose a king-size bed. | She chose a king-size bed.
She led a witch hunt. | He led a witch hunt.
English is his mother tongue. | English is her mother tongue.
Rome is a sister city of Paris. | =
That is an old wives' tale. | =
It was a gentlemen's agreement. | =
Mother Nature helped him. | Mother Nature helped her.
Father Christmas brought her a doll. | Father Christmas brought him a doll.
Uncle Sam wants him. | Uncle Sam wants her.
Adam's apple is a part of the neck. | =
The man-made lake froze. | =
Man the pumps! | =
Oh man, that hurt. | =
Oh boy, she was late. | Oh boy, he was late.
Guy Ritchie met his wife. | Guy Ritchie met her husband.
Gal Gadot lost her bag. | Gal Gadot lost his bag.
I miss her. | I miss him.
Miss Clark lost her case. | Mr Clark lost his case.
The lag is 20 ms, she said. | The lag is 20 ms, he said.
She has MS and uses a cane. | He has MS and uses a cane.
The SIR model fits. | ?
Helium-like He atoms decay. | ?
Praise Him, for He is good. | ?
Her Majesty opened her gift. | His Majesty opened his gift.
Queen Victoria loved her husband. | ?
Queen Elizabeth waved to him. | King Matthew waved to her.
Dear Sir or Madam, | Dear Madam or Sir, ?
Madam President, he is here. | Mr President, she is here.
Mr Speaker, she lied. | Madam Speaker, he lied.
The bride and groom thanked her parents. | The bride and groom thanked his parents.
The drag queen fixed her wig. | The drag queen fixed his wig.
Women's World Cup tickets are his. | Men's World Cup tickets are hers.
The policewoman's radio was hers. | The policeman's radio was his.
The fishermen mended their nets. | The fisherwomen mended their nets.
An Englishman lost his way. | An Englishwoman lost her way.
The lads cheered him on. | The lasses cheered her on.
Her mother-in-law called. | His father-in-law called.
I gave her mother-in-law a ring. | I gave his father-in-law a ring.
The then-girlfriend of his brother left. | The then-boyfriend of her sister left.
It drove her mad. | It drove him mad.
It drove her mad brother away. | It drove his mad sister away.
They deemed her unfit to serve. | They deemed him unfit to serve.
They declared her innocent. | They declared him innocent.
They declared her claim void. | They declared his claim void. ?
The teacher gave her extra homework. | The teacher gave him extra homework. ?
The nurse brought her some soup. | The nurse brought him some soup.
The neighbours lent her their ladder. | The neighbours lent him their ladder.
The thief sold her car. | The thief sold his car.
The clerk sold her a car. | The clerk sold him a car.
They wished her luck. | They wished him luck.
They wished her well. | They wished him well.
I envy her talent. | I envy his talent.
They forgave her debts. | They forgave his debts.
She taught her children French. | He taught his children French.
She taught her French. | He taught him French. ?
I showed her around. | I showed him around.
I showed her room to the guest. | I showed his room to the guest.
He showed her how it works. | She showed him how it works.
We sent her home early. | We sent him home early.
We painted her home red. | We painted his home red.
He hurt her back. | She hurt his back.
They want her back. | They want him back.
Give it back to her now. | Give it back to him now.
Give her back her ring. | Give him back his ring.
He pulled her close. | She pulled him close.
He held her close friend's bag. | She held his close friend's bag.
Turn her down gently. | Turn him down gently.
He wore her down jacket. | She wore his down jacket. ?
I walked her past the gate. | I walked him past the gate.
He asked about her past. | She asked about his past.
What she told her shocked me. | What he told him shocked me.
The story she told her shocked parents was false. | The story he told his shocked parents was false. ?
He found her tired eyes sad. | She found his tired eyes sad.
They found her dead. | They found him dead.
They found her dead brother's ring. | They found his dead sister's ring.
With her gone, the house is quiet. | With him gone, the house is quiet.
Without her knowing, he left. | ?
Despite her being late, he waited. | Despite his being late, she waited.
I remember her laughing. | I remember him laughing.
I remember her laughter. | I remember his laughter.
The dog bit her hard. | The dog bit him hard.
The dog bit her hard-working brother. | The dog bit his hard-working sister.
Is this her first time? | Is this his first time?
Is it a her or a him? | Is it a him or a her?
Taller than her brother, she ducked. | Taller than his sister, he ducked.
He is taller than her by far. | She is taller than him by far.
Girls like her deserve better. | Boys like him deserve better.
Girls like her sister deserve better. | Boys like his brother deserve better.
Ask her yourself. | Ask him yourself. ?
Ask her name. | Ask his name.
Ask her anything you like. | Ask him anything you like.
Pay her rent or pay her. | Pay his rent or pay him.
She did her best for him. | He did his best for her.
He gave it her all. | ?
He gave her all he had. | She gave him all she had.
He gave her none of it. | She gave him none of it.
He gave her plenty of time. | She gave him plenty of time.
He owed her $50. | She owed him $50.
He spent her $50. | She spent his $50.
Her (former) boss called. | ?
I saw her (again). | ?
He loved her... and left. | ?
He loved her, and her alone. | She loved him, and him alone.
For her, money is nothing. | For him, money is nothing.
To her credit, she stayed. | To his credit, he stayed.
In her own words, she won. | In his own words, he won.
Of her three sons, one left. | Of his three daughters, one left.
One of her friends saw her friend. | One of his friends saw his friend.
Who hit her, her boss? | Who hit him, his boss?
The girl hugged her, then him. | The boy hugged him, then her.
Her hugging him was odd. | His hugging her was odd.
She is her own woman. | He is his own man.
Like mother, like daughter. | Like father, like son.
He is every inch a king. | She is every inch a queen.
The stewardess poured him tea. | ?
The waiter poured her tea. | ?
They crowned her queen. | They crowned him king.
They crowned her brother king. | They crowned his sister queen.
The waitress and her manager left. | The waiter and his manager left.
A widow, she raised her sons. | A widower, he raised his daughters.
Maternity leave saved her. | Paternity leave saved him.
She was a Girl Scout. | He was a Girl Scout.
Boy Scouts of America sued him. | Boy Scouts of America sued her.
The Beach Boys played her song. | The Beach Boys played his song.
Wonder Woman is her favourite film. | Wonder Woman is his favourite film.
She read the Gospel of John. | He read the Gospel of John.
John 3:16 is his verse. | John 3:16 is her verse.
Peter the Great built his fleet. | Peter the Great built her fleet.
The men's room is closed, he said. | The men's room is closed, she said.
Mrs. Doubtfire is his favourite. | Mrs. Doubtfire is her favourite.
Prince Edward Island suits her. | Prince Edward Island suits him.
He teaches at Queen Mary University. | She teaches at Queen Mary University.
He met Mary on Mary Street. | She met James on Mary Street.
The Duke of Kent lost his hat. | The Duchess of Kent lost her hat.
She works at Duke University. | He works at Duke University.
Mon frère et ma soeur sont à la gare, dit son père. | =
Ils ont vu son fils. | =
Man sagt, dass sie nicht kommt. | =
El actor dijo que no. | =
Nun ist es aber gut. | =
He said "komm her" to his dog. | She said "komm her" to her dog. ?
Fa male, disse il ragazzo. | =
She thanked him for his help, and he thanked her for hers. | He thanked her for her help, and she thanked him for his.
Neither he nor his wife saw her. | Neither she nor her husband saw him.
Her husband's ex-wife is her lawyer. | His wife's ex-husband is his lawyer.
She gave her ex-husband's lawyer her files. | He gave his ex-wife's lawyer his files.
Everyone she knew loved her. | Everyone he knew loved him.
Her face fell when he saw her. | His face fell when she saw him.
I know her to be honest. | I know him to be honest.
I know her too well. | I know him too well.
You made her proud, and you made her day. | You made him proud, and you made his day.
They robbed her of her savings. | They robbed him of his savings.
It took her years to finish. | It took him years to finish. ?
It took her two years to finish. | It took him two years to finish.
Watching her work is a joy. | ?
Her work is a joy. | His work is a joy.
She asked him to lend her his car. | He asked her to lend him her car.
The lawyer handed her two envelopes. | The lawyer handed him two envelopes.
The king granted her a pardon. | The queen granted him a pardon.
The shop charged her 12 dollars for the bag. | The shop charged him 12 dollars for the bag.
The clinic refused her treatment. | ?
Nobody showed her any mercy. | Nobody showed him any mercy.
The clerk passed her the salt. | The clerk passed him the salt.
They awarded her first prize. | They awarded him first prize. ?
They awarded her the first prize. | They awarded him the first prize.
They awarded her brother the medal. | They awarded his sister the medal.
We saved her a seat. | We saved him a seat.
We saved her seat for her. | We saved his seat for him.
It spared her the trouble. | It spared him the trouble.
The aunt left her nothing. | The uncle left him nothing.
The critics judged her talented. | The critics judged him talented.
The critics judged her talented pupils. | The critics judged his talented pupils.
I think her honest and fair. | I think him honest and fair.
You keep her safe, and I keep her keys. | You keep him safe, and I keep his keys.
The news left her speechless. | The news left him speechless.
The flu made her too weak to stand. | The flu made him too weak to stand.
They painted her as a villain. | They painted him as a villain.
They painted her nails red. | They painted his nails red.
Age has made her wiser. | Age has made him wiser.
Call her reckless if you like. | Call him reckless if you like.
He calls her his muse. | She calls him her muse.
The press dubbed her Iron Lady. | The press dubbed him Iron Lady.
They appointed her chair of the board. | They appointed him chair of the board.
They moved her chair to the window. | They moved his chair to the window.
The doctor told her to rest. | The doctor told him to rest.
The doctor told her parents to rest. | The doctor told his parents to rest.
I heard her come in. | I heard him come in.
I felt her tremble. | I felt him tremble.
I felt her pulse. | I felt his pulse.
Did you see her leave? | Did you see him leave?
Did you see her leaves fall? | Did you see his leaves fall?
The coach had her run ten miles. | The coach had him run ten miles. ?
The spell made her forget everything. | The spell made him forget everything.
Don't let her fool you. | Don't let him fool you. ?
Help her up, then help her sister. | Help him up, then help his brother.
We saw her dance partner leave. | We saw his dance partner leave.
Somebody saw her talking to the guard. | Somebody saw him talking to the guard.
They found her hiding in the attic. | They found him hiding in the attic.
They found her hiding place. | They found his hiding place. ?
They got her promoted. | They got him promoted.
I want her gone by noon. | I want him gone by noon.
I like her cooking. | I like his cooking.
Her cooking is awful. | His cooking is awful.
The people around her were kind. | The people around him were kind.
The people in her street were kind. | The people in his street were kind.
The girl in front of her turned round. | The boy in front of him turned round.
The lake behind her house froze. | The lake behind his house froze.
Beside her sat her brother. | Beside him sat his sister.
All those who saw her agreed. | All those who saw him agreed.
No one who heard her forgot her. | No one who heard him forgot him.
I trust her more than him. | I trust him more than her.
I trust her judgement more. | I trust his judgement more.
I barely know her these days. | I barely know him these days.
We saw her first in Rome. | ?
We saw her last film. | We saw his last film.
We met her last summer. | We met him last summer.
Remember her always. | Remember him always.
I will always remember her kindly. | I will always remember him kindly.
He gave her kindly uncle a lift. | She gave his kindly aunt a lift.
Hers was the best essay. | His was the best essay.
His was the worst essay. | Hers was the worst essay.
That scarf of hers is old. | That scarf of his is old.
An old teacher of his died. | An old teacher of hers died.
A portrait of his mother hung there. | A portrait of her father hung there.
The fault is his, the car hers. | The fault is hers, the car his.
Her or him? | Him or her?
Everyone has his or her reasons. | Everyone has her or his reasons.
Bring him or her along. | Bring her or him along.
A pilot trusts his/her crew. | A pilot trusts her/his crew.
If (s)he fails, call me. | =
Dear Sir/Madam, | Dear Madam/Sir, ?
Dear Sir, he has not paid. | Dear Madam, she has not paid.
Thank you, ma'am. | Thank you, sir.
"Sir," she said, "wait." | "Ma'am," he said, "wait."
YES, SIR! | YES, MA'AM!
The mailman left his bag. | The mailwoman left her bag.
The schoolmistress rang her bell. | The schoolmaster rang his bell.
The fireman carried her out. | The firewoman carried him out.
Two servicemen saved her. | Two servicewomen saved him.
A Frenchman and his wife dined. | A Frenchwoman and her husband dined.
The chairman's wife resigned. | The chairwoman's husband resigned.
My granny and my auntie agree. | My grandad and my uncle agree.
Christian said he was late. | Christian said she was late.
Christian Dior designed her dress. | Christian Dior designed his dress.
Hans Christian Andersen wrote his tales. | Hans Christian Andersen wrote her tales.
She lives in New Mexico. | He lives in New Mexico.
He crossed the Irish Sea. | She crossed the Irish Sea.
She keeps an Irish setter. | He keeps an Irish setter.
Ruth and her son moved to St. Paul. | Larry and his daughter moved to St. Paul.
He holidays on Prince Edward Island. | She holidays on Prince Edward Island.
The Queen Mary docked, and she got off. | The Queen Mary docked, and he got off.
He changed trains at King's Cross. | She changed trains at King's Cross.
George Washington University admitted her. | George Washington University admitted him.
He read the King James Bible. | She read the King James Bible.
Bloody Mary is her favourite drink. | Bloody Mary is his favourite drink.
She joined the Girl Guides. | He joined the Girl Guides.
Pass me a Mary Jane, he said. | Pass me a Mary Jane, she said.
Uncle Tom's Cabin made her cry. | Uncle Tom's Cabin made him cry.
Spider-Man saved her. | Spider-Man saved him.
He sang with the Pet Shop Boys. | She sang with the Pet Shop Boys.
The Marx Brothers made him laugh. | The Marx Brothers made her laugh.
Big Brother is watching her. | Big Brother is watching him.
The queen bee left her hive. | The queen bee left his hive.
She moved her king to e2. | He moved his king to e2.
He is a family man. | She is a family woman.
She is the man of the match. | He is the woman of the match. ?
Gentlemen prefer blondes, he said. | Ladies prefer blondes, she said.
There were three women and a man. | There were three men and a woman.
Boys don't cry, her mother said. | Girls don't cry, his father said.
Brother, can you spare her a dime? | Sister, can you spare him a dime?
Brother John rang his bell. | Sister Jane rang her bell.
Sister Mary prayed for him. | Brother James prayed for her.
Mother Teresa helped her. | Mother Teresa helped him.
Aunt Jane and Uncle John sold her car. | Uncle John and Aunt Jane sold his car.
Mrs. Lee and her husband sued Mr. Poe. | Mr. Lee and his wife sued Mrs. Poe.
Mr. Justice Poe gave his view. | Madam Justice Poe gave her view. ?
He'll say he's hers. | She'll say she's his.
She's got her mother's eyes. | He's got his father's eyes.
The ladies’ team won their cup. | The gentlemen’s team won their cup.
‘Is that her?’ he asked. | ‘Is that him?’ she asked.
“Her?” he said. “Never.” | “Him?” she said. “Never.”
HE GAVE HER HIS COAT. | SHE GAVE HIM HER COAT.
THEY MADE HER CRY. | THEY MADE HIM CRY.
Mail him at king@palace.org or at home. | Mail her at king@palace.org or at home.
See www.ladiesnight.com/queen, she wrote. | See www.ladiesnight.com/queen, he wrote.
@queenbee thanked him. | @queenbee thanked her.
She typed `her = him` and ran it. | He typed `her = him` and ran it.
In the code, user.her is unset. | =
<man>his</man> | ?
Er gab sie nicht her. | =
Das ist schon lange her, sagte sie. | =
La dame a vu son fils et sa bride. | =
El sir no es español. | =
Il male non esiste, dice lui. | =
The German word "her" means "hither". | ?
Her left hand shook. | His left hand shook.
Her leaving hurt him. | His leaving hurt her.
The man left her tip on the table. | The woman left his tip on the table.
Did her sister call her sister? | Did his brother call his brother?
With her help, and without her, we won. | With his help, and without him, we won.
With her asleep, he read. | With him asleep, she read.
For her to win, she must run. | For him to win, he must run.
It is like her to be late. | It is like him to be late.
It is like her voice. | It is like his voice.
I saw in her a friend. | I saw in him a friend.
The suit against her failed. | The suit against him failed. ?
What annoys her most is noise. | What annoys him most is noise.
What annoys her most loyal fans is noise. | What annoys his most loyal fans is noise.
The waiter served her coffee. | ?
The waiter served her a coffee. | The waitress served him a coffee.
Her uncle bequeathed her the farm. | His aunt bequeathed him the farm.
The guard threw her a rope. | The guard threw him a rope.
The guide read her a poem. | The guide read him a poem.
He wrote her every week. | She wrote him every week.
The bank lent her fifty pounds. | The bank lent him fifty pounds.
The boss promised her a raise. | The boss promised him a raise.
The boss broke her promise. | The boss broke his promise.
The judge fined her $300. | The judge fined him $300.
I owe her an apology. | I owe him an apology.
I owe her parents an apology. | I owe his parents an apology.
I bought her sister a gift. | I bought his brother a gift.
I bought her house. | I bought his house.
Nobody told her anything. | Nobody told him anything.
Nobody believed her story. | Nobody believed his story.
Tell her I said hello. | Tell him I said hello.
I told her John was late. | I told him Jane was late.
I know her son is ill. | I know his daughter is ill.
They say her brother is rich. | They say his sister is rich.
People find her intimidating. | People find him intimidating.
Many regard her as a genius. | Many regard him as a genius.
It made her feel old. | It made him feel old.
It made her old wound ache. | It made his old wound ache.
The medicine made her drowsy. | The medicine made him drowsy.
The heat made her skin red. | The heat made his skin red.
The heat turned her skin red. | The heat turned his skin red.
They proved her wrong. | They proved him wrong.
They set her free. | They set him free.
They voted her best player. | They voted him best player. ?
They consider her a friend. | They consider him a friend.
They consider her friend a liar. | They consider his friend a liar.
We watched her leave the room. | We watched him leave the room.
We watched her team win. | We watched his team win.
I caught her looking at me. | I caught him looking at me.
I caught her look. | I caught his look. ?
The bell made her jump. | The bell made him jump.
The bell made her dog jump. | The bell made his dog jump.
Make her an offer. | Make him an offer.
Make her bed, please. | Make his bed, please.
Have her call me tomorrow. | Have him call me tomorrow.
Have her car towed. | Have his car towed.
We got her to sign. | We got him to sign.
We got her signature. | We got his signature.
They begged her to stay. | They begged him to stay.
They robbed her at gunpoint. | They robbed him at gunpoint.
The wind blew her hat off. | The wind blew his hat off.
The thief followed her home. | The thief followed him home.
She has her home back. | He has his home back.
They drove her to school. | They drove him to school.
They drove her old van to school. | They drove his old van to school.
No one spoke to her yesterday. | No one spoke to him yesterday.
No one spoke to her lawyer. | No one spoke to his lawyer.
We all sang for her. | We all sang for him.
We all sang for her birthday. | We all sang for his birthday.
After her came her brothers. | After him came his sisters.
Above her hung a lamp. | Above him hung a lamp.
The lamp above her desk broke. | The lamp above his desk broke.
The lamp above her broke. | The lamp above him broke.
Those near her heard it. | Those near him heard it.
A man like her father wins. | A woman like his mother wins.
People like her rarely win. | People like him rarely win.
He is older than her. | She is older than him.
He is older than her husband. | She is older than his wife.
It was her who called. | It was him who called.
It was her who he called. | It was him who she called.
It was her car that he hit. | It was his car that she hit.
The one who saved her was her son. | The one who saved him was his daughter.
Anyone who met her liked her. | Anyone who met him liked him.
Whoever hired her trusts her. | Whoever hired him trusts him.
The teacher who taught her retired. | The teacher who taught him retired.
I see her often. | I see him often.
I see her point. | I see his point.
I visit her daily. | I visit him daily.
Her daily walk is long. | His daily walk is long.
We miss her dearly. | We miss him dearly.
We miss her dear face. | We miss his dear face.
He hugged her tight. | She hugged him tight.
He hugged her tightly and left. | She hugged him tightly and left.
She earned her living. | He earned his living.
She felt her way along. | He felt his way along.
She went her own way. | He went his own way.
She lost her way and her temper. | He lost his way and his temper.
Is the red one hers or his? | Is the red one his or hers?
His were the last to arrive. | Hers were the last to arrive.
A cousin of his came by. | A cousin of hers came by.
A cousin of his wife came by. | A cousin of her husband came by.
This idea of his works. | ?
I took his, not hers. | I took hers, not his.
I took his not very old car. | I took her not very old car. ?
The decision was his to make. | The decision was hers to make.
Whoever it is, bring him/her/them in. | Whoever it is, bring her/him/them in.
Ask for her or his number. | Ask for his or her number.
Each (his or her) vote counts. | ?
He/she/they may apply. | She/he/they may apply.
She/he may apply. | He/she may apply.
Dear Madam, he owes us money. | Dear Sir, she owes us money.
May I help you, sir? | May I help you, ma'am?
Sir Paul McCartney sang to her. | Dame Sophie McCartney sang to him.
Good night, ladies! | Good night, gentlemen!
The councilman lost his seat. | The councilwoman lost her seat.
The barmaid dropped her tray. | The barman dropped his tray.
The landlord raised his rents. | The landlady raised her rents.
The salesmen missed their targets. | The saleswomen missed their targets.
A nobleman sold his land. | A noblewoman sold her land.
An heiress hid her gold. | An heir hid his gold.
My stepmother adores him. | My stepfather adores her.
The women's shelter took her in. | The men's shelter took him in.
Her sons' school closed. | His daughters' school closed.
The actresses’ prizes are his. | The actors’ prizes are hers.
James' sister lost her ring. | ?
The boss's wife fired him. | The boss's husband fired her.
She isn't his, and he isn't hers. | He isn't hers, and she isn't his.
He's late, isn't he? | She's late, isn't she?
SHE SAID IT WAS HERS. | HE SAID IT WAS HIS.
MR. LEE LOST HIS HAT. | MRS. LEE LOST HER HAT.
Ms. Lee lost her hat. | Mr. Lee lost his hat.
Christian Slater kissed her. | Christian Slater kissed him.
The Irish Times quoted her. | The Irish Times quoted him. ?
He swam in the Gulf of Mexico. | She swam in the Gulf of Mexico.
She grew up in Northern Ireland. | He grew up in Northern Ireland.
Her flight crossed the Indian Ocean. | His flight crossed the Indian Ocean.
He was treated at Mount Sinai by her. | She was treated at Mount Sinai by him.
She prayed to Saint Anthony. | He prayed to Saint Anthony.
They married in St. Peter's Basilica, she said. | They married in St. Peter's Basilica, he said.
He works for John Lewis Partnership plc. | She works for John Lewis Partnership plc.
She reads Jane Eyre to him. | He reads Jane Eyre to her.
He lives in San Jose with his wife. | She lives in San Jose with her husband.
Prince George County elected her. | Prince George County elected him.
The King's Speech won him a prize. | The King's Speech won her a prize.
She watched Little Women twice. | He watched Little Women twice.
He plays for Manchester United with his brother. | She plays for Manchester United with her sister.
The Girl Scouts sold her cookies. | ?
She bought a Brother printer. | He bought a Brother printer.
It was every man for himself. | =
The ship's maiden voyage was her last. | The ship's maiden voyage was his last. ?
The con man fooled her. | The con man fooled him.
Her Royal Highness wore her crown. | His Royal Highness wore his crown.
Oh, man, he is fast. | Oh, man, she is fast.
The king cobra bit him. | The king cobra bit her.
Its manhole cover hit her. | Its manhole cover hit him.
The queen of hearts was in his hand. | The queen of hearts was in her hand.
She emailed her.name@firm.co.uk about him. | He emailed her.name@firm.co.uk about her.
He put `his` in quotes for her. | She put `his` in quotes for him.
The file mother.txt is hers. | The file mother.txt is his.
Visit http://king.org/his, then call him. | Visit http://king.org/his, then call her.
#HerStory made her famous. | #HerStory made him famous.
Wir kommen von weit her. | =
Sie gab mir das Buch her, und er ging. | =
Dad said "ven aquí, hermano" to her. | Mom said "ven aquí, hermano" to him.
Le prince est à Paris avec son chien. | =
Son père est mort, dit la dame. | =
The agent found her a flat near the park. | The agent found him a flat near the park.
The agent found her flat too small. | The agent found his flat too small.
The tutor gave her three hours of help. | The tutor gave him three hours of help.
The lender refused her a second loan. | The lender refused him a second loan.
The museum sold her painting last year. | The museum sold his painting last year.
The chef cooked her a meal. | The chef cooked him a meal.
The chef cooked her meals. | ?
The stranger told her secrets. | ?
The stranger told her secret. | The stranger told his secret.
Her colleague sent her the minutes. | His colleague sent him the minutes.
Her colleague sent her regards. | ?
Pay her what you owe her. | Pay him what you owe him.
The class taught her patience. | ?
The landlord showed her the flat. | The landlady showed him the flat.
The landlord returned her deposit. | The landlady returned his deposit.
Please hand her the phone. | Please hand him the phone.
Please hand her phone to me. | Please hand his phone to me.
The fans threw her flowers. | The fans threw him flowers. ?
The company offered her shares. | ?
They offered her little comfort. | They offered him little comfort.
They comforted her little brother. | They comforted his little sister.
It gave her enough time to think. | It gave him enough time to think.
It gave her no time to think. | It gave him no time to think.
They fed her soup with a spoon. | ?
The jury thought her guilty. | The jury thought him guilty.
The jury weighed her guilt. | The jury weighed his guilt.
The dress made her look taller. | The dress made him look taller.
The diet made her thinner. | The diet made him thinner.
His remark made her cross. | Her remark made him cross.
His remark made her cross sister laugh. | Her remark made his cross brother laugh.
The cold left her numb. | The cold left him numb.
She left her numb fingers in the sun. | He left his numb fingers in the sun.
I consider her to be an expert. | I consider him to be an expert.
I consider her advice carefully. | I consider his advice carefully.
I rate her highly. | I rate him highly.
I rate her highly praised book low. | I rate his highly praised book low.
Nobody expected her so soon. | Nobody expected him so soon.
They labelled her difficult. | They labelled him difficult.
They labelled her boxes. | They labelled his boxes.
They named her Elizabeth after an aunt. | They named him Matthew after an uncle.
They chose her as their leader. | They chose him as their leader.
They hailed her as a hero. | They hailed him as a heroine.
The court ruled her out. | The court ruled him out.
The lift took her up, and her dog too. | The lift took him up, and his dog too.
The noise kept her awake. | The noise kept him awake.
The noise kept her neighbours awake. | The noise kept his neighbours awake.
I have never seen her cry. | I have never seen him cry. ?
I have never seen her cry for help. | ?
Please let her finish. | Please let him finish.
Please let her mother finish. | Please let his father finish.
The song made her weep. | The song made him weep.
The guard saw her climb over the wall. | The guard saw him climb over the wall.
The guard saw her climbing the wall. | The guard saw him climbing the wall.
The guard saw her climbing shoes. | ?
We heard her being scolded. | We heard him being scolded.
They had her followed. | They had him followed.
He had her eyes and her smile. | She had his eyes and his smile.
They need her here by six. | They need him here by six.
They need her help by six. | They need his help by six.
Everybody behind her cheered. | Everybody behind him cheered.
The children in her care cheered. | The children in his care cheered.
The officer beside her wrote it down. | The officer beside him wrote it down.
The officer who stopped her fined her. | The officer who stopped him fined him.
The prize that won her fame was small. | ?
Those who knew her best stayed away. | Those who knew him best stayed away.
He introduced her to his mother. | She introduced him to her father.
He introduced her mother to his. | She introduced his father to hers.
Next to her sat a nun. | Next to him sat a monk.
Near her house stood an oak. | Near his house stood an oak.
I ran into her yesterday. | I ran into him yesterday.
I ran into her ex yesterday. | I ran into his ex yesterday.
Wait for her outside. | Wait for him outside.
Wait for her outside her office. | Wait for him outside his office.
She is taller than he is. | He is taller than she is.
I like her just as she is. | I like him just as he is.
I like her just demands. | I like his just demands.
I love her still. | I love him still.
I love her still lifes. | I love his still lifes.
I called her twice. | I called him twice.
They phoned her that night. | They phoned him that night.
They phoned her the next morning. | They phoned him the next morning.
They married her off at twenty. | They married him off at twenty.
He sees her Tuesdays. | She sees him Tuesdays. ?
She spends her Sundays with him. | He spends his Sundays with her.
We met her three years ago. | We met him three years ago.
Her three years abroad changed her. | His three years abroad changed him.
The keys are either his or hers. | The keys are either hers or his.
Is it his or her turn? | Is it her or his turn?
He or she should sign his or her name. | She or he should sign her or his name.
The winner may keep his/her prize. | The winner may keep her/his prize.
Every pupil (s)he teaches passes. | =
If he/she agrees, tell him/her. | If she/he agrees, tell her/him.
That laugh of hers is loud. | That laugh of his is loud.
A colleague of his quit. | A colleague of hers quit. ?
A poem of his won. | A poem of hers won. ?
He kept his and sold mine. | She kept hers and sold mine.
What is his is hers. | What is hers is his.
To each his own. | To each her own.
The victory was truly his. | The victory was truly hers.
His, not hers, was the first. | Hers, not his, was the first.
"She's mine," he said; "I'm hers." | "He's mine," she said; "I'm his."
'Ask her!' he cried. | 'Ask him!' she cried.
“Her mother?” he said. | “His father?” she said.
HER MOTHER SAW HER. | HIS FATHER SAW HIM.
WE TOLD HER TO WAIT. | WE TOLD HIM TO WAIT.
Certainly, madam. | Certainly, sir.
Dear Madam or Sir, we write again. | Dear Sir or Madam, we write again.
Madam Chair, she has the floor. | Mr Chair, he has the floor.
Sir, you dropped this. | Ma'am, you dropped this.
The headmistress and the headmaster met. | The headmaster and the headmistress met.
The policemen wrote their reports. | The policewomen wrote their reports.
The cameraman held his breath. | The camerawoman held her breath.
The sorcerer and his niece vanished. | The sorceress and her nephew vanished.
Our chairwoman thanked her deputy. | Our chairman thanked his deputy.
The milk of human kindness left him. | The milk of human kindness left her.
Her brother-in-law's wife is his boss. | His sister-in-law's husband is her boss.
His great-aunt adored him. | Her great-uncle adored her.
The actress-turned-senator won. | The actor-turned-senator won.
The girls' coach praised them. | The boys' coach praised them.
Ladies' shoes are on sale, she said. | Gentlemen's shoes are on sale, he said.
Women's hour is at ten. | Men's hour is at ten.
The princes' tutor left. | The princesses' tutor left.
She met Christian Bale at the Ritz. | He met Christian Bale at the Ritz.
He painted the Virgin Mary. | She painted the Virgin Mary.
The ferry to the Isle of Man left without her. | The ferry to the Isle of Man left without him.
She ran to King's College Hospital. | He ran to King's College Hospital.
He parked on Queen Street. | She parked on Queen Street.
Her office is on St. James's Square. | His office is on St. James's Square.
She flew over the Prince Charles Mountains. | He flew over the Prince Charles Mountains.
He likes Johnny Cash and Ray Charles. | She likes Johnny Cash and Ray Charles.
Cyclone Nancy hit his town. | Cyclone Nancy hit her town.
She was born in Santa Barbara. | He was born in Santa Barbara.
He collects Mary Poppins books. | She collects Mary Poppins books.
Dallas Cowboys fans cheered him. | Dallas Cowboys fans cheered her.
She drank a Bloody Mary. | He drank a Bloody Mary.
Brothers Grimm tales scared her. | Brothers Grimm tales scared him.
Iron Man is her hero. | Iron Man is his heroine.
The black widow bit him. | The black widow bit her.
She threw him a life ring. | He threw her a life ring.
The king salmon was his best catch. | The king salmon was her best catch.
The female connector broke, he said. | The female connector broke, she said.
Big Ben struck as she left. | Big Ben struck as he left.
Man is mortal. | ?
Write to info@mrs-king.com or call her. | Write to info@mrs-king.com or call him.
@king_james tagged her. | @king_james tagged him.
See docs/her/index.html before he asks. | See docs/her/index.html before she asks.
The variable `she` is his. | The variable `she` is hers.
Call obj.his() and tell him. | Call obj.his() and tell her.
Komm bitte her und hilf mir. | =
Wie lange ist das her? | =
Mein Mann sagt, man soll warten. | =
La actriz y el actor no son de aquí. | =
Elle est la bride de mon cousin. | =
His “komm her” made her laugh. | Her “komm her” made him laugh. ?
She lost her mother, he his wife. | He lost his father, she her husband.
The jeweller sold her pearls. | The jeweller sold his pearls. ?
The jeweller sold her a necklace. | The jeweller sold him a necklace.
The doctor prescribed her antibiotics. | The doctor prescribed him antibiotics. ?
The doctor examined her lungs. | The doctor examined his lungs.
My editor emailed her twice. | My editor emailed him twice.
My editor emailed her draft to me. | My editor emailed his draft to me.
Grant her one wish. | Grant him one wish.
They granted her wish. | They granted his wish.
The tutor taught her how to swim. | The tutor taught him how to swim.
The tutor taught her niece how to swim. | The tutor taught his nephew how to swim.
We bought her a ticket to Rome. | We bought him a ticket to Rome.
We used her ticket to Rome. | We used his ticket to Rome.
The bank charged her a fee. | The bank charged him a fee.
They denied her the vote. | They denied him the vote.
They counted her vote. | They counted his vote.
I can promise her nothing. | I can promise him nothing.
I wrote her a long letter. | I wrote him a long letter.
I kept her long letter. | I kept his long letter.
He reads her bedtime stories. | ?
He told her seven jokes. | She told him seven jokes.
He ignored her seven jokes. | She ignored his seven jokes.
It saved her hours of work. | It saved him hours of work. ?
It cost her dearly. | It cost him dearly.
It cost her the election. | It cost him the election.
Nobody envied her success. | Nobody envied his success.
The committee found her unqualified. | The committee found him unqualified.
The committee found her unqualified deputy amusing. | The committee found his unqualified deputy amusing.
Her parents think her mature. | His parents think him mature.
Her parents think her teacher is strict. | His parents think his teacher is strict.
The loss rendered her speechless. | The loss rendered him speechless.
The illness left her weak. | The illness left him weak.
The illness left her weak heart damaged. | The illness left his weak heart damaged.
Fame made her suspicious of strangers. | Fame made him suspicious of strangers.
Fame made her friends suspicious. | Fame made his friends suspicious.
They kept her prisoner. | They kept him prisoner.
They kept her prisoner alive. | They kept his prisoner alive. ?
The club made her its chair. | The club made him its chair.
The sea air made her sleepy. | The sea air made him sleepy.
He drives her up the wall. | She drives him up the wall.
He drives her car up the hill. | She drives his car up the hill.
I saw her standing at the stop. | I saw him standing at the stop.
I saw her standing ovation. | ?
They watched her disappear. | They watched him disappear.
They watched her performance. | They watched his performance.
Did anyone hear her shout? | ?
Nobody heard her come home. | Nobody heard him come home.
Let her know by Friday. | Let him know by Friday.
Let her parents know by Friday. | Let his parents know by Friday.
Her coach made her run laps. | ?
Her coach made her stop smoking. | His coach made him stop smoking.
We helped her choose a dress. | We helped him choose a dress.
We helped her sister choose a dress. | We helped his brother choose a dress.
She had her tooth pulled. | He had his tooth pulled.
They want her dead or alive. | They want him dead or alive.
They want her answer by noon. | They want his answer by noon.
The couple beside her argued. | The couple beside him argued.
The couple in her flat argued. | The couple in his flat argued.
The woman he loves loves her cat. | The man she loves loves his cat.
The man who hired her left. | The woman who hired him left.
The man who hired her left hand man lied. | ?
Everyone who knows her respects her. | Everyone who knows him respects him.
What he gave her was priceless. | What she gave him was priceless.
What he gave her mother was priceless. | What she gave his father was priceless.
In front of her lay an open book. | In front of him lay an open book.
In her bag lay an open book. | In his bag lay an open book.
I have known her since 1990. | I have known him since 1990.
I have read her since 1990. | I have read him since 1990.
We thanked her profusely. | We thanked him profusely.
We thanked her very warmly for it. | We thanked him very warmly for it.
They invited her along. | They invited him along.
Wish her a happy birthday. | Wish him a happy birthday.
Celebrate her birthday. | Celebrate his birthday.
You can call her anytime. | You can call him anytime.
You can call her office anytime. | You can call his office anytime.
She looked younger than her years. | He looked younger than his years.
No one is like her. | No one is like him.
No one is like her, not even her twin. | No one is like him, not even his twin.
It was she who lost her way. | It was he who lost his way.
Him they blame, her they praise. | Her they blame, him they praise. ?
Her I like; him I trust. | Him I like; her I trust.
The scarf must be hers. | The scarf must be his.
The scarf must be his. | The scarf must be hers.
Yours is red and his is blue. | Yours is red and hers is blue.
A neighbour of his saw it. | A neighbour of hers saw it.
An aunt of his mother saw it. | An uncle of her father saw it.
This habit of his annoys us. | This habit of hers annoys us. ?
His and his brother's shares rose. | Hers and her sister's shares rose.
His was a sad story. | Hers was a sad story.
Did he take his? | Did she take hers?
We saw his, hers, and theirs. | We saw hers, his, and theirs.
Not his best work, nor hers. | Not her best work, nor his.
Ask him or her for help. | Ask her or him for help.
A nurse loves her or his job. | A nurse loves his or her job.
The author and his/her agent sign. | The author and her/his agent sign.
S/he must sign below. | =
The applicant (he or she) must sign. | The applicant (she or he) must sign.
Thanks, ma'am! | Thanks, sir!
Yes sir, she is here. | Yes ma'am, he is here.
Sir Alex met her. | ?
Mr. and Mrs. Lee sold her car. | Mrs. and Mr. Lee sold his car.
Mrs. Dalloway bored him. | Mrs. Dalloway bored her.
Miss Piggy made her laugh. | Miss Piggy made him laugh.
The mailmen praised their boss. | The mailwomen praised their boss.
A horsewoman lost her whip. | A horseman lost his whip.
The proprietor locked his shop. | The proprietress locked her shop.
Our foreman hurt his leg. | Our forewoman hurt her leg.
The Irishman sold his farm. | The Irishwoman sold her farm.
The lass kissed her granny. | The lad kissed his grandad.
Her stepsons visit his godmother. | His stepdaughters visit her godfather.
The housewives' club met. | The househusbands' club met.
The gentlemen's club met. | =
The king's daughter married the queen's nephew. | The queen's son married the king's niece.
Boys' shirts and girls' shirts differ. | Girls' shirts and boys' shirts differ.
She's her father's son. | He's his mother's daughter.
They'd met before he'd met her. | They'd met before she'd met him.
“I know her,” said the boy. | “I know him,” said the girl.
"Did he hurt her?" "No." | "Did she hurt him?" "No."
SHE TOLD HIM THE TRUTH. | HE TOLD HER THE TRUTH.
He Said Her Name | She Said His Name
She wore Christian Louboutin shoes. | He wore Christian Louboutin shoes.
She climbed in the Indian Himalayas. | He climbed in the Indian Himalayas.
A statue of the Virgin Mary stood by his bed. | A statue of the Virgin Mary stood by her bed.
He sailed past the Isle of Man. | She sailed past the Isle of Man.
He was educated at St. John's College. | She was educated at St. John's College.
Her train left King's Cross late. | His train left King's Cross late.
She works on Elizabeth Street. | He works on Elizabeth Street.
Tropical Storm Julia spared her house. | Tropical Storm Julia spared his house.
The San Jose Sharks signed him. | The San Jose Sharks signed her.
The Duke Ellington records are his. | The Duke Ellington records are hers.
He plays for the Sacramento Kings. | She plays for the Sacramento Kings.
Lady Gaga sang her hit. | Lady Gaga sang his hit.
Prince Harry and his wife left. | ?
Guy Fawkes lost his head. | Guy Fawkes lost her head.
She quoted the Gospel of Matthew. | He quoted the Gospel of Matthew.
Mother Teresa devoted her life to others. | Mother Teresa devoted his life to others. ?
The witch hunt ruined her. | The witch hunt ruined him.
His mother tongue is Thai. | Her mother tongue is Thai.
They sell king prawns to him. | They sell king prawns to her.
The Big Brother house bored her. | The Big Brother house bored him.
She took the queen with her bishop in chess. | He took the queen with his bishop in chess.
Ladies' Day at the races pleased her. | Ladies' Day at the races pleased him.
He put the male plug in. | She put the male plug in.
A man-eating tiger chased him. | A man-eating tiger chased her.
Contact her at jane.king@uni.edu please. | Contact him at jane.king@uni.edu please.
Her site is www.her-story.org now. | His site is www.her-story.org now.
He ran `ls /home/king` twice. | She ran `ls /home/king` twice.
@MotherJones quoted him. | @MotherJones quoted her.
Her notes are in /usr/share/man/man1. | His notes are in /usr/share/man/man1.
He set user.gender = "male" first. | She set user.gender = "male" first.
Woher kommt er? Von weit her. | =
Gib das her! | =
Un actor y su madam no llegaron. | =
Il a vu sa bride et son prince. | =
Man kann nie wissen, sagt er. | =
De man en zijn vrouw zijn hier. | =
""")

ASIDE = _pairs("""
The vet gave her puppy a treat. | The vet gave his puppy a treat.
The vet gave her two treats. | The vet gave him two treats.
The fund awarded her 5,000 euros. | The fund awarded him 5,000 euros.
The council allotted her a garden. | The council allotted him a garden.
My nephew drew her a map. | My niece drew him a map.
My nephew drew her face. | My niece drew his face.
The clerk stamped her forms. | The clerk stamped his forms.
Nobody paid her any attention. | Nobody paid him any attention.
Nobody paid her bill. | Nobody paid his bill.
They taught her self-defence. | ?
The waiter poured her a glass of wine. | The waitress poured him a glass of wine.
Lend her your umbrella. | Lend him your umbrella.
Lend her umbrella to nobody. | Lend his umbrella to nobody.
The app texts her reminders. | ?
The app texts her when it rains. | The app texts him when it rains.
The firm guaranteed her a pension. | The firm guaranteed him a pension.
I wish her every success. | I wish him every success.
I admire her success. | I admire his success.
He sang her a song. | She sang him a song.
He sang her song. | She sang his song.
I bet her ten euros. | I bet him ten euros.
The rules forbid her to smoke. | The rules forbid him to smoke.
The inspector thought her dishonest. | The inspector thought him dishonest.
The inspector thought her alibi weak. | The inspector thought his alibi weak.
Some call her stubborn. | Some call him stubborn.
Some call her stubborn streak a virtue. | Some call his stubborn streak a virtue.
Marriage made her happier. | Marriage made him happier.
The scandal made her infamous. | The scandal made him infamous.
We deemed her suitable. | We deemed him suitable.
We deemed her proposal suitable. | We deemed his proposal suitable.
The wine made her giddy. | The wine made him giddy.
The fever left her delirious. | The fever left him delirious.
The crash left her paralysed from the waist down. | The crash left him paralysed from the waist down.
The crash left her car on its roof. | The crash left his car on its roof.
I like her better with short hair. | I like him better with short hair.
We elected her treasurer. | We elected him treasurer.
We audited her treasurer. | We audited his treasurer.
The editor called her prose dull. | The editor called his prose dull.
He called her darling. | She called him darling. ?
He called her later that day. | She called him later that day.
I caught her smoking behind the shed. | I caught him smoking behind the shed.
I dislike her smoking. | I dislike his smoking.
I can see her waving. | I can see him waving.
We heard her knock. | ?
We felt her breathe. | We felt him breathe.
We felt her breath. | We felt his breath.
Make her apologise. | Make him apologise.
Make her apology public. | Make his apology public.
It helps her relax. | It helps him relax.
Nothing will make her change. | ?
Nothing will make her change her mind. | Nothing will make him change his mind.
Let her be. | Let him be.
Let her voice be heard. | Let his voice be heard.
He had her sign the form. | She had him sign the form.
He had her signature forged. | She had his signature forged.
They got her drunk. | They got him drunk.
They saw her robbed. | They saw him robbed.
They saw her robbed flat. | They saw his robbed flat. ?
With her away, the mice play. | With him away, the mice play.
With her brother away, she rests. | With his sister away, he rests.
The guard near her yawned. | The guard near him yawned.
The lamp beside her flickered. | The lamp beside him flickered.
The lamp beside her bed flickered. | The lamp beside his bed flickered.
Nobody next to her noticed. | Nobody next to him noticed.
Nobody in her row noticed. | Nobody in his row noticed.
The people who raised her died. | The people who raised him died.
The coach who trained her said little. | The coach who trained him said little.
Those who voted for her cheered. | Those who voted for him cheered.
The house he bought her burned down. | The house she bought him burned down.
Under her sat her twin. | Under him sat his twin.
Around her stood five guards. | Around him stood five guards.
Around her neck hung a key. | Around his neck hung a key.
I last heard from her in May. | I last heard from him in May.
I met her May 3. | I met him May 3.
I admire her greatly. | I admire him greatly.
I admire her greatly underrated novels. | I admire his greatly underrated novels.
He loves her more and more. | She loves him more and more.
I missed her so much. | I missed him so much.
We see her now and then. | We see him now and then.
She hit her head hard. | He hit his head hard.
She hit her hard. | He hit him hard.
He asked her out. | She asked him out.
He asked her out loud. | She asked him out loud.
I bought it for her and her son. | I bought it for him and his daughter.
I met her and him. | I met him and her.
I met her or him. | I met him or her.
Between her and me, he lies. | Between him and me, she lies.
Neither her nor his plan worked. | Neither his nor her plan worked. ?
The choice was hers, and hers only. | The choice was his, and his only.
My car is faster than his. | My car is faster than hers.
His is the blue coat. | Hers is the blue coat.
Is that coat his or mine? | Is that coat hers or mine?
A student of his came early. | A student of hers came early.
A photo of his house came early. | A photo of her house came early.
A friend of his and mine left. | A friend of hers and mine left.
Every voter has his or her own reasons. | Every voter has her or his own reasons.
Call him or her at once. | Call her or him at once.
When he or she calls, hang up. | When she or he calls, hang up.
A tenant must pay his/her rent. | A tenant must pay her/his rent.
(S)he may appeal. | =
The patient and s/he agreed. | =
My pronouns are she/her/hers. | My pronouns are he/him/his.
Excuse me, ma'am. | Excuse me, sir.
Right away, sir! | Right away, ma'am!
Dear Sir or Madam: he left. | Dear Madam or Sir: she left.
Mr. Lee, Mrs. Lee and Ms. Kim met. | Mrs. Lee, Mr. Lee and Mr. Kim met.
Two postmen lost their bags. | Two postwomen lost their bags.
The headmaster rang the bell. | The headmistress rang the bell.
The fireman's wife saw him. | The firewoman's husband saw her.
A landlady may not enter her tenant's flat. | A landlord may not enter his tenant's flat.
The duke and his heir dined. | The duchess and her heiress dined.
A monk copied his book. | A nun copied her book.
Her grandad taught her chess. | His granny taught him chess.
His bride wore white. | Her bridegroom wore white.
Gals, he is here! | Guys, she is here!
The witch cast her spell. | The wizard cast his spell.
The boys' mother scolded them. | The girls' father scolded them.
He's her man. | She's his woman.
She'd like his card. | He'd like her card.
IS THIS HER CAR OR HIS? | IS THIS HIS CAR OR HERS?
Her Ladyship lost her ring. | His Lordship lost his ring.
Thank God, He is merciful. | ?
I met Christian Bale and his wife. | I met Christian Bale and her husband.
Bless the Virgin Mary, she said. | Bless the Virgin Mary, he said.
He dived in the Indian Ocean. | She dived in the Indian Ocean.
She keeps bees on the Isle of Man. | He keeps bees on the Isle of Man.
Ladies' night starts when he arrives. | Ladies' night starts when she arrives.
She was treated in St. Thomas' Hospital. | He was treated in St. Thomas' Hospital.
He drove down Martha Street. | She drove down Martha Street.
The Prince Albert Museum hired her. | The Prince Albert Museum hired him.
He crossed the King George Bridge. | She crossed the King George Bridge.
Hurricane Andrew wrecked her roof. | Hurricane Andrew wrecked his roof.
She moved to New Mexico. | He moved to New Mexico.
She prefers Burger King. | He prefers Burger King.
He was a Boy Scout. | She was a Boy Scout.
He read Little Women. | She read Little Women.
She saw The Lion King. | He saw The Lion King.
He watched Wonder Woman with his son. | She watched Wonder Woman with her daughter.
Dairy Queen closed, she said. | Dairy Queen closed, he said.
The sister ship sank, he wrote. | The sister ship sank, she wrote.
His Adam's apple moved. | Her Adam's apple moved.
It is an old boys' network, she said. | It is an old boys' network, he said.
The men's room is to his left. | The men's room is to her left.
Man overboard! | =
King Kong scared her. | King Kong scared him.
He ordered a king-size mattress. | She ordered a king-size mattress.
Reply to mr.king@post.org, she wrote. | Reply to mr.king@post.org, he wrote.
He blogs at https://his.blog/women today. | She blogs at https://his.blog/women today.
Thanks @lady_di and @sirtom! | =
Type `sudo man her` and tell him. | Type `sudo man her` and tell her.
Er lief hin und her. | =
Bis dahin ist es noch lange her. | =
El actor y la actriz son de Madrid. | =
Je ne vois pas son prince. | =
Er fragte: "Wo kommen Sie her?" | =
The coach tossed her the ball. | The coach tossed him the ball.
The coach kicked her ball away. | The coach kicked his ball away.
The clinic gave her painkillers. | ?
The clinic gave her six painkillers. | The clinic gave him six painkillers.
The trustee left her the estate. | The trustee left him the estate.
The trustee sold her estate. | The trustee sold his estate.
The chef showed her how to cook. | The chef showed him how to cook.
The chef disliked how she cooked. | The chef disliked how he cooked.
The school offered her free lunches. | ?
My cousin owes her rent. | ?
My cousin owes her an explanation. | My cousin owes him an explanation.
They spared her life. | They spared his life.
They spared her the details. | They spared him the details.
Send her my love. | Send him my love.
Send her best friend my love. | Send his best friend my love.
He ordered her a pizza. | She ordered him a pizza.
He ordered her pizza. | ?
Her boss gave her Friday off. | His boss gave him Friday off. ?
Her boss gave her full marks. | ?
The prince gave her his ring. | The princess gave him her ring.
I asked her for advice. | I asked him for advice.
I asked her son for advice. | I asked his daughter for advice.
I asked her the time. | I asked him the time.
The voters thought her too old. | The voters thought him too old.
The voters thought her plan too costly. | The voters thought his plan too costly.
The press considers her unbeatable. | The press considers him unbeatable.
The press considers her rival unbeatable. | The press considers his rival unbeatable.
We found her asleep on the sofa. | We found him asleep on the sofa.
We found her sofa in the attic. | We found his sofa in the attic.
The joke made her blush. | The joke made him blush.
The joke made her cheeks burn. | The joke made his cheeks burn.
Stress makes her irritable. | Stress makes him irritable.
Stress makes her rash worse. | Stress makes his rash worse.
The boss called her lazy. | The boss called him lazy.
The boss called her lawyer. | The boss called his lawyer.
They painted her blue. | They painted him blue. ?
They painted her blue door green. | They painted his blue door green.
They appointed her director of studies. | They appointed him director of studies.
They sacked her director of studies. | They sacked his director of studies.
The jury declared her the winner. | The jury declared him the winner.
He held her tight in his arms. | She held him tight in her arms.
He held her hand in his. | She held his hand in hers.
I watched her pack. | I watched him pack. ?
I packed her watch. | I packed his watch.
We overheard her arguing with him. | We overheard him arguing with her.
We overheard her argument with him. | We overheard his argument with her.
They saw her being led away. | They saw him being led away.
They saw her being as a gift. | ?
Get her to phone me. | Get him to phone me.
Get her phone for me. | Get his phone for me.
Have her wait outside. | Have him wait outside.
Let her down gently. | Let him down gently.
Let her guard down. | Let his guard down. ?
Her drink made her ill. | His drink made him ill.
Watch her closely. | Watch him closely.
Watch her closest allies. | Watch his closest allies.
The dog at her feet slept. | The dog at his feet slept.
The dog beside her slept. | The dog beside him slept.
The actor opposite her forgot his lines. | The actress opposite him forgot her lines.
The voice behind her whispered. | The voice behind him whispered.
The nurse who bathed her sang. | The nurse who bathed him sang.
The men who robbed her fled. | The women who robbed him fled.
The gift he sent her broke. | The gift she sent him broke.
All who heard her wept. | All who heard him wept.
Above her shone a lamp. | Above him shone a lamp.
Behind her came the band. | Behind him came the band.
Next to her house grew an elm. | Next to his house grew an elm.
She saw him before he saw her. | He saw her before she saw him.
We left her there. | We left him there.
We left her there and then. | We left him there and then.
I will meet her at noon. | I will meet him at noon.
I will meet her noon deadline. | I will meet his noon deadline.
We buried her Tuesday. | We buried him Tuesday.
He visited her last spring. | She visited him last spring.
He visited her last flat. | She visited his last flat.
I know her less well. | I know him less well.
He mocked her mercilessly. | She mocked him mercilessly.
He mocked her mercilessly strict father. | She mocked his mercilessly strict mother.
We trust her completely and always will. | We trust him completely and always will.
She keeps her word. | He keeps his word.
Keep her out of it. | Keep him out of it.
Keep her coat out of it. | Keep his coat out of it.
Between her and her sister there is peace. | Between him and his brother there is peace.
I invited her and her husband. | I invited him and his wife.
I invited her or her deputy. | I invited him or his deputy.
Give it to him or to her. | Give it to her or to him.
Is this bag hers, or is it his? | Is this bag his, or is it hers?
The fault was entirely hers. | The fault was entirely his.
Whose is it, his? | Whose is it, hers?
His, I think. | Hers, I think.
The loss is ours, the gain his. | The loss is ours, the gain hers.
Some friends of his came over. | Some friends of hers came over.
Some friends of his sister came over. | Some friends of her brother came over.
No fault of his caused it. | No fault of hers caused it. ?
Each child brought his or her lunch. | Each child brought her or his lunch.
A doctor may choose his/her hours. | A doctor may choose her/his hours.
Whoever it was, he/she left. | Whoever it was, she/he left.
If s/he signs, we win. | =
Pronouns: he/him. | Pronouns: she/her.
Ma'am, your table is ready. | Sir, your table is ready.
No, ma'am, he isn't. | No, sir, she isn't.
May I, sir? | May I, ma'am?
Madam Speaker, he is wrong. | Mr Speaker, she is wrong.
The spokesman denied it, she said. | The spokeswoman denied it, he said.
A salesman left his samples. | A saleswoman left her samples.
The milkmaid and the postman met. | The milkmaid and the postwoman met.
The policewomen arrested her. | The policemen arrested him.
My brother-in-law fixed his bike. | My sister-in-law fixed her bike.
My ex-girlfriend kept her ring. | My ex-boyfriend kept his ring.
The widow's sons sold her land. | The widower's daughters sold his land.
The heir lost his estate. | The heiress lost her estate.
The girls lost their mothers. | The boys lost their fathers.
Mum kissed her. | Dad kissed him.
Dad's car is his pride. | Mom's car is her pride.
He'd have told her. | She'd have told him.
She's as tall as he's wide. | He's as tall as she's wide.
“He’s hers,” she said. | “She’s his,” he said.
"Her? Never!" cried the king. | "Him? Never!" cried the queen.
HE HIT HER. SHE HIT HIM. | SHE HIT HIM. HE HIT HER.
THE LADIES' ROOM IS THERE. | =
Christian Bale's new film moved her. | Christian Bale's new film moved him.
The Virgin Mary appeared to her. | The Virgin Mary appeared to him.
Cruises on the Indian Ocean bore him. | Cruises on the Indian Ocean bore her.
The Isle of Man has its own parliament. | =
He lives in St. John's with his aunt. | She lives in St. John's with her uncle.
She studies at Queen's University Belfast. | He studies at Queen's University Belfast.
Her bus stops at Prince Street. | His bus stops at Prince Street.
They met on Patricia Avenue, she says. | They met on Patricia Avenue, he says.
Hurricane Katrina took his home. | ?
He surfed off San Simon with her. | She surfed off San Simon with him.
The Duke of York waved to her. | The Duchess of York waved to him.
Stevie Wonder and Elton John thanked her. | Stevie Wonder and Elton John thanked him.
Mary Poppins is his favourite film. | Mary Poppins is her favourite film.
She joined the Boy Scouts. | He joined the Boy Scouts.
He wore a Spider-Man mask. | She wore a Spider-Man mask.
Mother Nature surprised her. | Mother Nature surprised him.
Uncle Sam taxes him. | Uncle Sam taxes her.
Her mother tongue is Urdu. | His mother tongue is Urdu.
They are sister cities, he said. | They are sister cities, she said.
It is a man-made fibre, she said. | It is a man-made fibre, he said.
He called it an old wives' tale. | She called it an old wives' tale.
She ate king prawns. | He ate king prawns.
Queen bees fight, she said. | Queen bees fight, he said.
He plays Game Boy with his son. | She plays Game Boy with her daughter.
It is 5 ms faster, he said. | It is 5 ms faster, she said.
The HIS software crashed. | ?
Mail queen@palace.org about him. | Mail queen@palace.org about her.
Go to https://example.com/she?x=her now, sir. | Go to https://example.com/she?x=her now, ma'am.
Tag @mrs_jones and tell her. | Tag @mrs_jones and tell him.
Use `he.name` for his name. | Use `he.name` for her name.
Die Idee kam von ihm her. | =
Komm her und setz dich! | =
Sie ist nun schon lange Mutter, sagt man. | =
Mi madre y el actor son amigos. | =
Mon oncle a vu un prince et sa dame. | =
The nurse brought her painkillers at noon. | The nurse brought him painkillers at noon. ?
The committee voted her out. | The committee voted him out.
Did you tell her dad? | Did you tell his mom?
Did you tell her yet? | Did you tell him yet?
I lent her four books. | I lent him four books.
The guide promised her sunshine. | ?
The museum lent her sculpture to Berlin. | The museum lent his sculpture to Berlin.
We all believed her innocent. | We all believed him innocent.
We all believed her innocent smile. | We all believed his innocent smile.
The drug made her nauseous. | The drug made him nauseous.
Her friends consider her brave and loyal. | His friends consider him brave and loyal.
Her friends consider her brave son a hero. | His friends consider his brave daughter a heroine.
They pronounced her dead at six. | They pronounced him dead at six.
The sergeant ordered her men to halt. | The sergeant ordered his women to halt.
The sergeant ordered her to halt. | The sergeant ordered him to halt.
The rain soaked her and her bag. | The rain soaked him and his bag.
They thanked her and her team. | They thanked him and his team.
Who taught her manners? | Who taught him manners? ?
He brought her flowers and wine. | She brought him flowers and wine.
Somebody sent her roses. | Somebody sent him roses.
The landlord wants her gone. | The landlady wants him gone.
The landlord wants her money. | The landlady wants his money.
No one will hire her now. | No one will hire him now.
No one will hire her cousin now. | No one will hire his cousin now.
The picture of her is blurred. | The picture of him is blurred.
The picture of her cat is blurred. | The picture of his cat is blurred.
It bores her when he sings. | It bores him when she sings.
Don't ask her why. | Don't ask him why.
I saw her two weeks later. | I saw him two weeks later.
I saw her twin two weeks later. | I saw his twin two weeks later.
Her sister is older than her. | His brother is older than him.
He looks like her. | She looks like him.
He looks like her brother. | She looks like his sister.
Was it her or him? | Was it him or her?
She gave it her best shot. | He gave it his best shot.
She gave him her best. | He gave her his best.
The only one who likes her is him. | The only one who likes him is her.
To hear her sing is a joy. | To hear him sing is a joy.
To hear her song is a joy. | To hear his song is a joy.
Don't make her wait. | Don't make him wait.
I dropped her at the airport. | I dropped him at the airport.
I dropped her suitcase at the airport. | I dropped his suitcase at the airport.
His luck ran out before hers did. | Her luck ran out before his did.
His eyes met hers. | Her eyes met his.
Her eyes met his. | His eyes met hers.
A relative of his drove us. | A relative of hers drove us.
What's his is mine. | What's hers is mine.
Not all of his books sold. | Not all of her books sold.
Each to his or her own. | Each to her or his own.
Somebody lost his/her phone. | Somebody lost her/his phone.
If s/he asks, say no. | =
Sir, may I help you? | Ma'am, may I help you?
"No, ma'am." He bowed. | "No, sir." She bowed.
The postman's bag was torn. | The postwoman's bag was torn.
Our headmistress retired. | Our headmaster retired.
Firemen saved the boys. | Firewomen saved the girls.
The queen's brother is an actor. | The king's sister is an actress.
Christian Bale and Tom Hardy met her. | Christian Bale and Tom Hardy met him.
Christian Bale was nominated. | =
A painting of the Virgin Mary hangs there. | =
Storms on the Indian Ocean scared her. | Storms on the Indian Ocean scared him.
He toured the Isle of Man by bike. | She toured the Isle of Man by bike.
Friday is ladies' night. | =
The ladies' night was her idea. | The ladies' night was his idea.
Her flat is on Queen Victoria Street. | His flat is on Queen Victoria Street.
She prayed at Notre Dame. | He prayed at Notre Dame.
St. Patrick's Day is his favourite. | St. Patrick's Day is her favourite.
The Prince of Wales met her. | The Princess of Wales met him.
Mother Theresa inspired her. | ?
He reads Women's Health. | ?
She is a King's Counsel. | ?
Er kommt von weit her. | =
Sie lief neben mir her. | =
Das Buch gehört ihr, nicht her damit. | =
El hombre dijo: sir, por favor. | =
""")
