// The passkey button: shown only where the browser has passkeys. Without scripts the form above it works alone.
'use strict'
const place = document.getElementById('passkey')

function octets(text) {
  return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0))
}
function text(buffer) {
  return btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}

async function signIn() {
  const asked = await (await fetch('/login/passkey')).json()
  const options = { ...asked.options, challenge: octets(asked.options.challenge) }
  const made = await navigator.credentials.get({ publicKey: options })
  const { clientDataJSON, authenticatorData, signature, userHandle } = made.response
  const answer = {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    clientExtensionResults: {},
    response: {
      clientDataJSON: text(clientDataJSON),
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      userHandle: userHandle ? text(userHandle) : null,
    },
  }
  const reply = await fetch('/login/passkey', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ticket: asked.ticket, answer }),
  })
  if (!reply.ok) throw new Error(String(reply.status))
  location.replace(document.body.dataset.next)
}

if (place && window.PublicKeyCredential) {
  place.hidden = false
  place.querySelector('button').addEventListener('click', () => {
    signIn().catch((fault) => {
      if (fault.name === 'NotAllowedError') return // the person thought better of it
      location.replace('/login?fault=wrong-passkey&next=' + encodeURIComponent(document.body.dataset.next))
    })
  })
}
