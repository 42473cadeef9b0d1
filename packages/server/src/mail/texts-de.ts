import type { MailTexts } from "./text-keys.ts";

const lookAtOnce =
  "Wenn nicht, kommt jemand anderes in Ihr Konto: Melden Sie sich an, ändern Sie das Passwort und beenden Sie die Sitzungen, die Sie nicht kennen.";

export const german: MailTexts = {
  greeting: "Guten Tag {username},",
  code: "Oder geben Sie diesen Code ein, wo Sie danach gefragt wurden:",
  good_for: "Gilt {minutes} Minuten und nur einmal.",
  link: "Falls sich nichts öffnet, rufen Sie diese Adresse im Browser auf:",
  account: "Zu Ihrem Konto",
  sent_by: "Diese Mail kommt von {site}. Antworten darauf liest niemand.",
  "fact.at": "Wann",
  "fact.device": "Gerät",
  "fact.ip": "Internet-Adresse",
  "fact.factor": "Was",
  "fact.provider": "Anbieter",
  "fact.left": "Verbleibende Codes",
  "fact.by": "Durch",
  "fact.email": "Neue Adresse",
  "value.passkey": "ein Passkey",
  "value.totp": "eine Authenticator-App",
  "value.recovery_codes": "neue Wiederherstellungscodes; die bisherigen gelten nicht mehr",
  "value.operator": "den Betreiber dieser Seite",

  "verify_address.subject": "Bestätigen Sie Ihre E-Mail-Adresse bei {site}",
  "verify_address.lead":
    "Diese Adresse wurde für ein Konto bei {site} angegeben. Bestätigen Sie, dass es Ihre ist, damit wir Sie erreichen, wenn es darauf ankommt.",
  "verify_address.action": "Adresse bestätigen",
  "verify_address.doubt":
    "Wenn Sie von diesem Konto nichts wissen, müssen Sie nichts tun: Ohne Bestätigung wird die Adresse nicht verwendet.",

  "change_address.subject": "Bestätigen Sie Ihre neue E-Mail-Adresse bei {site}",
  "change_address.lead":
    "Diese Adresse soll an die Stelle der bisherigen Ihres Kontos bei {site} treten. Sie tut es, sobald Sie sie bestätigen.",
  "change_address.action": "Neue Adresse bestätigen",
  "change_address.doubt": "Wenn Sie das nicht waren, müssen Sie nichts tun: Dann ändert sich nichts.",

  "sign_in.subject": "Anmelden bei {site}",
  "sign_in.lead": "Jemand, vermutlich Sie, möchte sich per Mail bei {site} anmelden.",
  "sign_in.action": "Anmelden",
  "sign_in.doubt":
    "Wenn Sie das nicht waren, müssen Sie nichts tun. Geben Sie Link und Code niemandem: Von {site} fragt Sie niemand danach.",

  "reset_password.subject": "Wählen Sie ein neues Passwort bei {site}",
  "reset_password.lead":
    "Jemand, vermutlich Sie, hat das Passwort Ihres Kontos bei {site} vergessen und möchte ein neues wählen.",
  "reset_password.action": "Neues Passwort wählen",
  "reset_password.doubt": "Wenn Sie das nicht waren, müssen Sie nichts tun: Ihr Passwort bleibt, wie es ist.",

  "new_device.subject": "Neue Anmeldung an Ihrem Konto bei {site}",
  "new_device.lead":
    "Jemand hat sich mit einem Gerät und von einem Ort aus angemeldet, die wir noch nicht kennen.",
  "new_device.doubt": `Wenn Sie das waren, müssen Sie nichts tun. ${lookAtOnce}`,

  "password_changed.subject": "Ihr Passwort bei {site} wurde geändert",
  "password_changed.lead": "Das Passwort Ihres Kontos wurde geändert.",
  "password_changed.doubt":
    "Wenn Sie das waren, müssen Sie nichts tun. Wenn nicht, wählen Sie sofort ein neues, wie bei einem vergessenen Passwort, und beenden Sie die Sitzungen, die Sie nicht kennen.",

  "address_change_asked.subject": "Ihre E-Mail-Adresse bei {site} soll geändert werden",
  "address_change_asked.lead":
    "Jemand, der an Ihrem Konto angemeldet ist, möchte diese E-Mail-Adresse durch eine andere ersetzen. Das geschieht, sobald die neue bestätigt ist.",
  "address_change_asked.doubt": `Wenn Sie das waren, müssen Sie hier nichts tun. ${lookAtOnce}`,

  "address_changed.subject": "Ihre E-Mail-Adresse bei {site} wurde geändert",
  "address_changed.lead":
    "Ihr Konto hat jetzt eine andere E-Mail-Adresse. Diese Mail geht an die bisherige und an die neue.",
  "address_changed.doubt":
    "Wenn Sie das waren, müssen Sie nichts tun. Wenn nicht, wenden Sie sich sofort an den Betreiber von {site} und sagen Sie, wann diese Mail kam.",

  "factor_added.subject": "Ihr Konto bei {site} hat einen weiteren Nachweis",
  "factor_added.lead": "Es gibt etwas Neues, womit Sie sich an Ihrem Konto ausweisen können.",
  "factor_added.doubt": `Wenn Sie das waren, müssen Sie nichts tun. ${lookAtOnce}`,

  "factor_removed.subject": "Ein Nachweis Ihres Kontos bei {site} wurde entfernt",
  "factor_removed.lead": "Etwas, womit Sie sich an Ihrem Konto ausweisen konnten, wurde entfernt.",
  "factor_removed.doubt": `Wenn Sie das waren, müssen Sie nichts tun. ${lookAtOnce}`,

  "recovery_code_used.subject": "Ein Wiederherstellungscode wurde bei {site} verwendet",
  "recovery_code_used.lead":
    "Jemand hat sich mit einem der Wiederherstellungscodes Ihres Kontos ausgewiesen.",
  "recovery_code_used.doubt": `Wenn Sie das waren, erstellen Sie neue Codes, bevor sie ausgehen. ${lookAtOnce}`,

  "identity_linked.subject": "Ein weiteres Konto wurde mit Ihrem bei {site} verbunden",
  "identity_linked.lead": "Ab jetzt können Sie sich auch über einen Anbieter an Ihrem Konto anmelden.",
  "identity_linked.doubt": `Wenn Sie das waren, müssen Sie nichts tun. ${lookAtOnce}`,

  "identity_unlinked.subject": "Ein Konto wurde von Ihrem bei {site} getrennt",
  "identity_unlinked.lead": "Über diesen Anbieter können Sie sich nicht mehr an Ihrem Konto anmelden.",
  "identity_unlinked.doubt": `Wenn Sie das waren, müssen Sie nichts tun. ${lookAtOnce}`,

  "reuse_detected.subject": "Sie wurden zu Ihrer Sicherheit bei {site} abgemeldet",
  "reuse_detected.lead":
    "Ein Schlüssel zu Ihrem Konto, der schon ersetzt war, wurde noch einmal benutzt. Er kann von einem Ihrer Geräte kopiert worden sein, darum wurde dieses Gerät abgemeldet.",
  "reuse_detected.doubt":
    "Melden Sie sich wieder an und sehen Sie die Liste Ihrer Geräte durch. Geschieht es noch einmal, liest auf diesem Gerät vielleicht etwas mit: Lassen Sie es prüfen und ändern Sie das Passwort von einem anderen aus.",

  "test.subject": "Eine Testmail von {site}",
  "test.lead": "Der Betreiber von {site} hat versucht, ob Mails ankommen. Diese ist angekommen.",
  "test.action": "{site} öffnen",
  "test.doubt": "Es gibt nichts zu tun.",
};
