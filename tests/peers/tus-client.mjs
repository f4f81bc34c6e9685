// tus-js-client in two roles, so that an upload can change hands:
//   begin ENDPOINT FILE BYTES CHUNK   creates an upload and stops once the server has BYTES or more
//   finish URL FILE CHUNK             sends the rest of an upload to its URL
// CHUNK is the length of one PATCH in bytes. Prints one object: the URL and the offset reached.
import { createReadStream, statSync } from 'node:fs'
import { Upload } from 'tus-js-client'

const [role, url, path, ...numbers] = process.argv.slice(2)
const [stopAt, chunkSize] = role === 'begin' ? numbers.map(Number) : [Infinity, Number(numbers[0])]

let acknowledged = 0
const tell = () => console.log(JSON.stringify({ url: upload.url, offset: acknowledged }))
const upload = new Upload(createReadStream(path), {
  ...(role === 'begin' ? { endpoint: url } : { uploadUrl: url }),
  uploadSize: statSync(path).size,
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
