import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

/**
 * Runs `kafka-consumer-groups --describe` once for each line on standard input, and writes `end` after its output.
 *
 * <p>One virtual machine answers many times: to start one takes longer than the lag that is measured. Arguments:
 * bootstrap servers, group.
 */
final class Groups {
  public static void main(String[] args) throws IOException {
    var asked = new BufferedReader(new InputStreamReader(System.in));
    while (asked.readLine() != null) {
      ConsumerGroupCommand.main(new String[] {"--bootstrap-server", args[0], "--describe", "--group", args[1]});
      System.out.println("end");
      System.out.flush();
    }
  }
}
