import type { MailTexts } from "./text-keys.ts";

const lookAtOnce =
  "If it was not you, somebody else can get into your account: sign in, change your password and end the sessions that you do not know.";

export const english: MailTexts = {
  greeting: "Hello {username},",
  code: "Or enter this code where you were asked for it:",
  good_for: "Good for {minutes} minutes, and only once.",
  link: "If the button does nothing, open this address in your browser:",
  account: "Look at your account",
  sent_by: "This mail was sent by {site}. Nobody reads answers to it.",
  "fact.at": "When",
  "fact.device": "Device",
  "fact.ip": "Internet address",
  "fact.factor": "What",
  "fact.provider": "Provider",
  "fact.left": "Codes that are left",
  "fact.by": "Done by",
  "fact.email": "New address",
  "value.passkey": "a passkey",
  "value.totp": "an authenticator app",
  "value.recovery_codes": "new recovery codes; those before are no longer good",
  "value.operator": "the operator of this site",

  "verify_address.subject": "Confirm your e-mail address at {site}",
  "verify_address.lead":
    "This address was given for an account at {site}. Confirm that it is yours, so that you can be reached when it matters.",
  "verify_address.action": "Confirm the address",
  "verify_address.doubt":
    "If you know nothing of this account, do nothing: without the confirmation the address is not used.",

  "change_address.subject": "Confirm your new e-mail address at {site}",
  "change_address.lead":
    "This address is to take the place of the one that your account at {site} has now. It does when you confirm it.",
  "change_address.action": "Confirm the new address",
  "change_address.doubt": "If you did not ask for this, do nothing: then nothing changes.",

  "sign_in.subject": "Sign in to {site}",
  "sign_in.lead": "Somebody, most likely you, asked to sign in to {site} by mail.",
  "sign_in.action": "Sign in",
  "sign_in.doubt":
    "If you did not ask for this, do nothing, and give link and code to nobody: nobody from {site} will ask you for them.",

  "reset_password.subject": "Choose a new password at {site}",
  "reset_password.lead":
    "Somebody, most likely you, has forgotten the password of your account at {site} and asked to choose a new one.",
  "reset_password.action": "Choose a new password",
  "reset_password.doubt": "If you did not ask for this, do nothing: your password stays as it is.",

  "new_device.subject": "New sign-in to your account at {site}",
  "new_device.lead": "Somebody signed in to your account from a device and a place that are new to us.",
  "new_device.doubt": `If it was you, there is nothing to do. ${lookAtOnce}`,

  "password_changed.subject": "Your password at {site} was changed",
  "password_changed.lead": "The password of your account was changed.",
  "password_changed.doubt":
    "If it was you, there is nothing to do. If it was not, choose a new one at once by the way for a forgotten password, and end the sessions that you do not know.",

  "address_change_asked.subject": "Your e-mail address at {site} is to change",
  "address_change_asked.lead":
    "Somebody who is signed in to your account asked to have another e-mail address in the place of this one. It changes when the new address is confirmed.",
  "address_change_asked.doubt": `If it was you, there is nothing to do here. ${lookAtOnce}`,

  "address_changed.subject": "Your e-mail address at {site} was changed",
  "address_changed.lead":
    "Your account has another e-mail address now. This mail goes to the one before and to the new one.",
  "address_changed.doubt":
    "If it was you, there is nothing to do. If it was not, tell the operator of {site} at once, and say when you had this mail.",

  "factor_added.subject": "A way to sign in was added to your account at {site}",
  "factor_added.lead": "Your account has something new by which you can prove who you are.",
  "factor_added.doubt": `If it was you, there is nothing to do. ${lookAtOnce}`,

  "factor_removed.subject": "A way to sign in was removed from your account at {site}",
  "factor_removed.lead": "Something by which you could prove who you are was taken away from your account.",
  "factor_removed.doubt": `If it was you, there is nothing to do. ${lookAtOnce}`,

  "recovery_code_used.subject": "A recovery code was used at {site}",
  "recovery_code_used.lead": "Somebody proved to be you by one of the recovery codes of your account.",
  "recovery_code_used.doubt": `If it was you, make new codes before they run out. ${lookAtOnce}`,

  "identity_linked.subject": "Another account was connected to yours at {site}",
  "identity_linked.lead": "From now on you can sign in to your account by way of a provider.",
  "identity_linked.doubt": `If it was you, there is nothing to do. ${lookAtOnce}`,

  "identity_unlinked.subject": "An account was disconnected from yours at {site}",
  "identity_unlinked.lead": "You can no longer sign in to your account by way of this provider.",
  "identity_unlinked.doubt": `If it was you, there is nothing to do. ${lookAtOnce}`,

  "reuse_detected.subject": "You were signed out of {site} for your safety",
  "reuse_detected.lead":
    "A key to your account that had been replaced was used again. It may have been copied from one of your devices, so that device was signed out.",
  "reuse_detected.doubt":
    "Sign in again, and look at the list of your devices. If it happens again, something on that device may be reading along: have it looked at, and change your password from another one.",

  "test.subject": "A test mail from {site}",
  "test.lead": "The operator of {site} has tried whether mails arrive. This one did.",
  "test.action": "Open {site}",
  "test.doubt": "There is nothing to do.",
};
