"""What the engine says of its own accord, and the short words it understands itself, in each language.

A language that is not here gets the English lines, and no phrases: there every word of the caller stops the agent.
"""

from collections.abc import Mapping

import msgspec

from oneinbox.live.engine.turn_events import Line


class Phrasebook(msgspec.Struct, frozen=True, kw_only=True):
    """One language."""

    apology: str
    unheard: str
    farewell: str
    reminder: str
    fillers: tuple[str, ...]
    """Said in turn when a reply is slow and nothing of it has been said."""
    patience: tuple[str, ...]
    """Said in turn when the rest of a reply, or the reply after a filler, is slow."""
    acknowledgements: tuple[str, ...] = ()
    """What a listener says without wanting the floor."""
    interruptions: tuple[str, ...] = ()
    """What means: stop talking."""

    def all_lines(self) -> tuple[str, ...]:
        """Return everything that is said in this language."""
        return (self.apology, self.unheard, self.farewell, self.reminder, *self.fillers, *self.patience)

    def line(self, line: Line) -> str:
        """Return the text of ``line``; empty where the engine has none (the greeting is the agent's own)."""
        return {
            Line.APOLOGY: self.apology,
            Line.UNHEARD: self.unheard,
            Line.FAREWELL: self.farewell,
            Line.REMINDER: self.reminder,
        }.get(line, "")


def phrasebook(language: str) -> Phrasebook:
    """Return the phrasebook of a language tag (``pt``, ``pt-BR``); the English lines where there is none."""
    primary = language.replace("_", "-").partition("-")[0].casefold()
    return PHRASEBOOKS.get(primary) or msgspec.structs.replace(ENGLISH, acknowledgements=(), interruptions=())


ENGLISH = Phrasebook(
    apology="Sorry, something went wrong on my side. Could you say that again?",
    unheard="Sorry, I could not hear you just now. Could you say that again?",
    farewell="I am sorry, I cannot go on with this call just now. Please try again later. Goodbye.",
    reminder="Are you still there?",
    fillers=("One moment, please.", "Let me see.", "Just a second."),
    patience=("I am still on it, one more moment.", "Thank you for waiting, just a little longer."),
    acknowledgements=(
        *(
            "mm",
            "mmm",
            "mhm",
            "mm hm",
            "mm hmm",
            "mmhmm",
            "mhmm",
            "hm",
            "hmm",
            "uh huh",
            "uhuh",
            "uhhuh",
            "ah",
            "aha",
            "oh",
        ),
        *("ah ha", "okay", "ok", "kay", "k", "yeah", "yea", "ya", "yep", "yup", "yes", "right", "alright", "all right"),
        *("sure", "i see", "got it", "gotcha", "cool", "good", "great", "nice", "fine", "wow", "really", "of course"),
        *("exactly", "true", "makes sense", "thats right", "sounds good", "fair enough", "i understand", "understood"),
    ),
    interruptions=(
        *("stop", "wait", "hold on", "hang on", "one moment", "one second", "just a second", "just a moment", "pause"),
        *(
            "be quiet",
            "shut up",
            "thats enough",
            "excuse me",
            "sorry",
            "no",
            "cancel",
            "never mind",
            "nevermind",
            "listen",
        ),
        *("let me", "actually", "hold it", "wait a minute", "quiet"),
    ),
)

PHRASEBOOKS: Mapping[str, Phrasebook] = {
    "en": ENGLISH,
    "es": Phrasebook(
        apology="Perdón, algo falló de mi lado. ¿Puede repetirlo?",
        unheard="Perdón, no le oí bien. ¿Puede repetirlo?",
        farewell="Lo siento, ahora no puedo seguir con esta llamada. Inténtelo más tarde, por favor. Adiós.",
        reminder="¿Sigue ahí?",
        fillers=("Un momento, por favor.", "A ver.", "Un segundo."),
        patience=("Sigo en ello, un momento más.", "Gracias por esperar, ya casi está."),
        acknowledgements=(
            *("mm", "mhm", "ajá", "aja", "ah", "sí", "si", "ya", "claro", "vale", "bien", "muy bien", "bueno", "ok", "okay"),
            *("de acuerdo", "entiendo", "perfecto", "exacto", "correcto", "por supuesto", "eso es", "cierto", "oh"),
        ),
        interruptions=(
            *("para", "pare", "espera", "espere", "un momento", "un segundo", "alto", "basta", "silencio", "perdón"),
            *("perdone", "disculpe", "no", "cancela", "escucha", "escuche", "olvídalo", "déjame", "déjeme"),
        ),
    ),
    "fr": Phrasebook(
        apology="Pardon, quelque chose n'a pas marché de mon côté. Pouvez-vous répéter ?",
        unheard="Pardon, je ne vous ai pas entendu. Pouvez-vous répéter ?",
        farewell="Je suis désolé, je ne peux pas poursuivre cet appel. Veuillez réessayer plus tard. Au revoir.",
        reminder="Vous êtes toujours là ?",
        fillers=("Un instant, s'il vous plaît.", "Voyons.", "Une seconde."),
        patience=("J'y suis presque, encore un instant.", "Merci de patienter, encore un petit moment."),
        acknowledgements=(
            *("mm", "mhm", "hm", "ah", "oh", "oui", "ouais", "d'accord", "daccord", "ok", "okay", "bien", "très bien", "bon"),
            *("je vois", "je comprends", "compris", "parfait", "exactement", "c'est ça", "bien sûr", "voilà", "entendu"),
        ),
        interruptions=(
            *("stop", "arrête", "arrêtez", "attends", "attendez", "un instant", "un moment", "une seconde", "pardon"),
            *("excusez moi", "silence", "assez", "non", "annule", "annulez", "écoutez", "écoute", "laissez moi"),
        ),
    ),
    "de": Phrasebook(
        apology="Entschuldigung, bei mir ist etwas schiefgegangen. Können Sie das bitte wiederholen?",
        unheard="Entschuldigung, ich habe Sie gerade nicht gehört. Können Sie das bitte wiederholen?",
        farewell="Es tut mir leid, ich kann dieses Gespräch gerade nicht fortsetzen. Bitte versuchen Sie es später. Auf Wiederhören.",
        reminder="Sind Sie noch da?",
        fillers=("Einen Moment, bitte.", "Mal sehen.", "Eine Sekunde."),
        patience=("Ich bin noch dabei, einen Augenblick noch.", "Danke für Ihre Geduld, gleich habe ich es."),
        acknowledgements=(
            *("mm", "mhm", "hm", "aha", "ah", "oh", "ja", "jo", "okay", "ok", "gut", "genau", "richtig", "klar", "alles klar"),
            *("verstehe", "ich verstehe", "verstanden", "stimmt", "achso", "ach so", "in ordnung", "sehr gut", "schön"),
        ),
        interruptions=(
            *("stopp", "stop", "halt", "warte", "warten sie", "moment", "einen moment", "sekunde", "entschuldigung"),
            *("ruhe", "genug", "nein", "abbrechen", "hör auf", "hören sie", "lassen sie mich", "vergiss es"),
        ),
    ),
    "pt": Phrasebook(
        apology="Desculpe, algo deu errado do meu lado. Pode repetir, por favor?",
        unheard="Desculpe, não consegui ouvir. Pode repetir, por favor?",
        farewell="Sinto muito, não consigo continuar esta chamada agora. Por favor, tente mais tarde. Até logo.",
        reminder="Você ainda está aí?",
        fillers=("Um momento, por favor.", "Deixe-me ver.", "Só um segundo."),
        patience=("Ainda estou vendo, só mais um momento.", "Obrigado por esperar, falta pouco."),
        acknowledgements=(
            *("mm", "mhm", "hm", "aham", "ah", "oh", "sim", "tá", "tá bom", "está bem", "ok", "okay", "certo", "claro", "isso"),
            *("bom", "muito bem", "entendi", "entendo", "perfeito", "exato", "beleza", "com certeza", "pois é", "é"),
        ),
        interruptions=(
            *("para", "pare", "espera", "espere", "um momento", "um segundo", "peraí", "chega", "silêncio", "desculpe"),
            *("com licença", "não", "cancela", "cancele", "escuta", "escute", "deixa", "deixe me"),
        ),
    ),
    "it": Phrasebook(
        apology="Mi scusi, qualcosa è andato storto da parte mia. Può ripetere?",
        unheard="Mi scusi, non l'ho sentita. Può ripetere?",
        farewell="Mi dispiace, al momento non posso continuare la chiamata. Riprovi più tardi. Arrivederci.",
        reminder="È ancora lì?",
        fillers=("Un momento, per favore.", "Vediamo.", "Un secondo."),
        patience=("Ci sto ancora lavorando, un attimo.", "Grazie per l'attesa, manca poco."),
        acknowledgements=(
            *("mm", "mhm", "hm", "ah", "oh", "sì", "si", "ok", "okay", "bene", "va bene", "certo", "capito", "capisco"),
            *("perfetto", "esatto", "giusto", "d'accordo", "già", "ottimo"),
        ),
        interruptions=(
            *("stop", "ferma", "fermati", "si fermi", "aspetta", "aspetti", "un momento", "un attimo", "basta", "scusi"),
            *("scusa", "no", "annulla", "ascolta", "ascolti", "silenzio"),
        ),
    ),
    "nl": Phrasebook(
        apology="Sorry, er ging bij mij iets mis. Kunt u dat herhalen?",
        unheard="Sorry, ik kon u net niet horen. Kunt u dat herhalen?",
        farewell="Het spijt me, ik kan dit gesprek nu niet voortzetten. Probeert u het later nog eens. Tot ziens.",
        reminder="Bent u er nog?",
        fillers=("Een moment, alstublieft.", "Even kijken.", "Een seconde."),
        patience=("Ik ben nog bezig, nog een ogenblik.", "Bedankt voor het wachten, bijna klaar."),
        acknowledgements=(
            *("mm", "mhm", "hm", "ah", "oh", "ja", "oké", "oke", "ok", "okay", "goed", "prima", "juist", "precies"),
            *("ik snap het", "begrepen", "duidelijk", "klopt", "natuurlijk", "zeker"),
        ),
        interruptions=(
            *("stop", "wacht", "wacht even", "een moment", "momentje", "hou op", "genoeg", "sorry", "nee", "luister"),
            *("pardon", "stil", "annuleer"),
        ),
    ),
    "hi": Phrasebook(
        apology="माफ़ कीजिए, मेरी तरफ़ से कुछ गड़बड़ हो गई। क्या आप फिर से कहेंगे?",
        unheard="माफ़ कीजिए, मैं आपको सुन नहीं पाया। क्या आप फिर से कहेंगे?",
        farewell="मुझे खेद है, मैं अभी यह कॉल आगे नहीं बढ़ा सकता। कृपया बाद में फिर कोशिश कीजिए। नमस्ते।",
        reminder="क्या आप अभी भी लाइन पर हैं?",
        fillers=("एक पल रुकिए।", "देखता हूँ।", "बस एक सेकंड।"),
        patience=("मैं अभी देख रहा हूँ, बस एक पल और।", "इंतज़ार करने के लिए धन्यवाद, बस थोड़ा और।"),
        acknowledgements=(
            *("हम्म", "हूँ", "हाँ", "हां", "जी", "जी हाँ", "जी हां", "अच्छा", "ठीक", "ठीक है", "ओके", "सही", "सही है"),
            *("समझ गया", "समझ गई", "बिल्कुल", "haan", "han", "ji", "haan ji", "accha", "acha", "theek hai", "thik hai"),
            *("ok", "okay", "hmm", "mm", "sahi hai", "samajh gaya", "bilkul", "yeah", "yes"),
        ),
        interruptions=(
            *("रुको", "रुकिए", "रुक जाइए", "एक मिनट", "एक सेकंड", "बस", "चुप", "सुनो", "सुनिए", "नहीं", "माफ़ कीजिए"),
            *("ruko", "rukiye", "ek minute", "ek second", "bas", "suno", "suniye", "nahi", "nahin", "stop", "wait"),
        ),
    ),
    "ja": Phrasebook(
        apology="申し訳ありません、こちらで問題が起きました。もう一度お願いできますか。",
        unheard="申し訳ありません、聞き取れませんでした。もう一度お願いできますか。",
        farewell="申し訳ありません、ただいま通話を続けられません。後ほどおかけ直しください。失礼いたします。",
        reminder="まだそちらにいらっしゃいますか。",
        fillers=("少々お待ちください。", "そうですね。", "ただいま確認します。"),
        patience=("確認しておりますので、もう少々お待ちください。", "お待たせしております。まもなくです。"),
        acknowledgements=("うん", "はい", "ええ", "へえ", "そう", "そうですね", "そうですか", "なるほど", "分かりました", "わかりました", "了解", "オーケー", "ああ"),
        interruptions=("待って", "待ってください", "ちょっと待って", "ちょっと待ってください", "止めて", "やめて", "ストップ", "すみません", "いいえ", "違います"),
    ),
    "zh": Phrasebook(
        apology="抱歉，我这边出了点问题。您能再说一遍吗？",
        unheard="抱歉，我刚才没有听清。您能再说一遍吗？",
        farewell="很抱歉，我现在无法继续通话。请稍后再试。再见。",
        reminder="您还在吗？",
        fillers=("请稍等。", "我看一下。", "稍等一下。"),
        patience=("我还在查，请再等一下。", "感谢您的耐心等待，马上就好。"),
        acknowledgements=("嗯", "嗯嗯", "哦", "啊", "好", "好的", "是", "是的", "对", "对的", "行", "可以", "明白", "明白了", "知道了", "没错", "当然"),
        interruptions=("停", "停一下", "等等", "等一下", "等一等", "不", "不是", "别说了", "打断一下", "不好意思", "听我说"),
    ),
}  # fmt: skip
