import java.io.FileInputStream;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Takes 127.0.0.1:PORT for NAME, trusting ROOT alone. Status 0: it passes; 1: the certificate is refused. */
public class Probe {
    public static void main(String[] args) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (FileInputStream root = new FileInputStream(args[2])) {
            trusted.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(root));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        Socket plain = new Socket("127.0.0.1", Integer.parseInt(args[1]));
        try (SSLSocket link = (SSLSocket) context.getSocketFactory().createSocket(plain, args[0], 443, true)) {
            SSLParameters asked = link.getSSLParameters();
            asked.setEndpointIdentificationAlgorithm("HTTPS");
            link.setSSLParameters(asked);
            link.startHandshake();
            System.out.println("passes");
        } catch (SSLException fault) {
            for (Throwable each = fault; each != null; each = each.getCause()) {
                if (each instanceof CertificateException) {
                    System.out.println("refused: " + fault.getMessage());
                    System.exit(1);
                }
            }
            throw fault;
        }
    }
}
