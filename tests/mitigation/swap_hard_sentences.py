"""300 hard sentences, each with what its swap is: "=" where nothing changes, "?" where it is to be left and counted.

"text ?" stands for a swap that is right though a careful reader might leave it too. Written before the rules met them;
the first of every two (`TUNED`) were looked at while the rules were written, the second (`ASIDE`) were only counted.
"""

from __future__ import annotations

SENTENCES = [
    tuple(line.split(" | "))
    for line in """
They sent her three letters. | They sent him three letters.
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
Stephen King signed her book. | Stephen King signed his book.
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
The teacher gave her extra homework. | ?
The nurse brought her some soup. | The nurse brought him some soup.
The neighbours lent her their ladder. | The neighbours lent him their ladder.
The thief sold her car. | The thief sold his car.
The clerk sold her a car. | The clerk sold him a car.
They wished her luck. | They wished him luck.
They wished her well. | They wished him well.
I envy her talent. | I envy his talent.
They forgave her debts. | They forgave his debts.
She taught her children French. | He taught his children French.
She taught her French. | ?
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
The stewardess poured him tea. | The steward poured her tea.
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
It took her years to finish. | ?
It took her two years to finish. | It took him two years to finish.
Watching her work is a joy. | ?
Her work is a joy. | His work is a joy.
She asked him to lend her his car. | He asked her to lend him her car.
""".strip("\n").split("\n")
]  # fmt: skip

TUNED, ASIDE = SENTENCES[::2], SENTENCES[1::2]
