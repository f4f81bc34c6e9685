// tus-js-client in two roles, so that an upload can change hands:
//   begin ENDPOINT FILE BYTES PROTOCOL CHUNK   creates an upload and stops once the server has BYTES
//   finish URL FILE PROTOCOL CHUNK             sends the rest of an upload to its URL
// PROTOCOL is tus-v1, ietf-draft-03 or ietf-draft-05, CHUNK the length of one PATCH in bytes. Prints
// one object: the URL and the offset reached.
import { readFileSync } from 'node:fs'
import { Upload } from 'tus-js-client'

const [role, url, path, ...rest] = process.argv.slice(2)
const stopAt = role === 'begin' ? Number(rest.shift()) : Infinity
const [protocol, chunkSize] = [rest[0], Number(rest[1])]

let acknowledged = 0
const tell = () => console.log(JSON.stringify({ url: upload.url, offset: acknowledged }))
// Of a stream it does not know the last chunk, and so never tells that an upload is complete.
const upload = new Upload(readFileSync(path), {
  ...(role === 'begin' ? { endpoint: url } : { uploadUrl: url }),
  protocol,
  chunkSize,
  metadata: { filename: 'from-tus-js-client' },
  retryDelays: null,
  storeFingerprintForResuming: false,
  onChunkComplete: async (_, offset) => {
    acknowledged = offset
    if (offset >= stopAt) {
      await upload.abort()
      tell()
      process.exit(0)
    }
  },
  onSuccess: tell,
  onError: (error) => {
    console.error(String(error))
    process.exit(1)
  },
})
upload.start()
