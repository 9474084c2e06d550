// Making a passkey with the browser: octets travel as base64url (WebAuthn, JSON forms).
type Json = Record<string, unknown>

function octets(text: string): ArrayBuffer {
  const raw = atob(text.replace(/-/g, '+').replace(/_/g, '/'))
  return Uint8Array.from(raw, (letter) => letter.charCodeAt(0)).buffer
}
function text(buffer: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}

/** Ask the device; its answer as JSON. */
export async function makePasskey(options: Json): Promise<Json> {
  const user = options['user'] as Json
  const known = (options['excludeCredentials'] ?? []) as Json[]
  const publicKey = {
    ...options,
    challenge: octets(String(options['challenge'])),
    user: { ...user, id: octets(String(user['id'])) },
    excludeCredentials: known.map((each) => ({ ...each, id: octets(String(each['id'])) })),
  } as unknown as PublicKeyCredentialCreationOptions
  const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential
  const response = made.response as AuthenticatorAttestationResponse
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    clientExtensionResults: {},
    response: { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject) },
  }
}
